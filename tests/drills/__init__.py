"""A short `make drills`, and what its table is held to."""
