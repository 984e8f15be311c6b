"""The physics of the plant: pure functions over parameters and state; no mosaik, no files, no global random state."""
