"""The plant: one file here is one mosaik simulator, a thin adapter over the physics in ``models``."""
