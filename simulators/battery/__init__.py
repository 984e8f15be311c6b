"""Battery packs, stationary or in vehicles, and their cells."""
