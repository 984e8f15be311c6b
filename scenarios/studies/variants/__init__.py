"""The description of many runs behind compare and sweep: study file, variants, journalled runs, tidy table."""
