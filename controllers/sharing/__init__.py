"""Strategies that share a limited power among the connectors, and their common base."""
