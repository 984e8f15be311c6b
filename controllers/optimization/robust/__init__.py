"""Two-stage robust programs and column-and-constraint generation."""
