"""A short `make chaos`, and what it is made of."""
