"""The communication between devices and controller."""
