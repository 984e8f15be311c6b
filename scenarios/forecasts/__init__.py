"""What controllers may expect of the future."""
