"""Statistics of the differences between controllers."""
