"""The plant: one folder for each kind of device, with its physics and, as a thin adapter, its mosaik simulator."""
