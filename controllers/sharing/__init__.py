"""Strategies that share a limited power among the connectors, and what they have in common."""
