"""The commands of ``evhub``, a file each; what takes long to import is imported when a command runs."""
