"""Feeders from OpenDSS decks."""
