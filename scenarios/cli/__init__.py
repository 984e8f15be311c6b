"""The command ``evhub``."""
