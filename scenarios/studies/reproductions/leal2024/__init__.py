"""Leal et al. 2024, run again."""
