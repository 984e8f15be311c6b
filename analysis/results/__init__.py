"""The result file: written, read, and looked at."""
