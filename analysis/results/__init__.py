"""Writing and reading result files, and tables and signals of a run."""
