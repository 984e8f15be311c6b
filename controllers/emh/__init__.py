"""The rule-based management strategy of an e-mobility hub, connected and islanded, after Leal et al. 2024.

Read `rules` first: the ordered list. Each file beside it has one functionality, as pure functions on plain numbers.
"""
