"""The local loads, in four classes."""
