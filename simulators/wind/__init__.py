"""Wind turbines: a kind of device without a field of its own in the contract, as other packages add them."""
