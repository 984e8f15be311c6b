"""Yan & Tu 2022, run again."""
