"""What may stand in a scenario file, and how one is read."""
