"""From a checked scenario to its wiring."""
