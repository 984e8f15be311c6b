"""Decisions: one folder or file a strategy; ``base`` is the contract between a controller and the plant."""
