"""Controllers, one folder or file for each strategy; `contract` is the interface between controller and plant."""
