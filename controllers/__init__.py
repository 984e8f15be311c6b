"""Decisions: one folder or file a strategy; ``contract`` is the contract between a controller and the plant."""
