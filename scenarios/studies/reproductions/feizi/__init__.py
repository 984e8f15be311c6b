"""Feizi & Khodayar, run again."""
