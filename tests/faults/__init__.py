"""The judge of `make faults`, the drawing of faults, and a short run of the whole."""
