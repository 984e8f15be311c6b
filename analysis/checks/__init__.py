"""Checks of runs: expectations, physical laws and golden results."""
