"""The plant: a folder a device, with its physics and its mosaik simulator, a thin adapter, side by side."""
