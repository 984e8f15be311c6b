"""Linear building blocks of a hub, one file each."""
