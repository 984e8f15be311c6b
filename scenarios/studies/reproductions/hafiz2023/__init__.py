"""Hafiz et al. 2023, run again."""
