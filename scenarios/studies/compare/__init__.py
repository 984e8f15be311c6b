"""Controllers side by side."""
