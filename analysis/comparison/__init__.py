"""What can be said of differences between controllers."""
