"""PV plants, and the sun."""
