"""The wiring of a plant and what runs it: mosaik, or one process."""
