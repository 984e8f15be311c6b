"""Step-held signals and the key figures made of them."""
