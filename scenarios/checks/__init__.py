"""Scenarios as tests."""
