"""Policies that were learned: what they see of a hub, what they command, their networks, files, and controller."""
