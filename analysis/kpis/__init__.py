"""Step-held signals and the key figures computed from them."""
