"""Readers of the files a scenario points to."""
