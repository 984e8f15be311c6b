"""Benchmarks of evhub: every figure is measured, and compared with something measured in the same run."""
