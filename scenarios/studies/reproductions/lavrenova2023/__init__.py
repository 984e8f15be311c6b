"""Lavrenova & Denysiuk 2023, run again."""
