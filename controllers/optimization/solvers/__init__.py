"""The solvers behind a program."""
