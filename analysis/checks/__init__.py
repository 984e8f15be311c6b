"""What must hold of a run, and what is wrong where it does not."""
