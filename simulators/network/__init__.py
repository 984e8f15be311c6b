"""The distribution network: where it comes from, and what solves it."""
