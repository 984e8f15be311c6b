"""The automatic transfer switch and the secondary source behind it."""
