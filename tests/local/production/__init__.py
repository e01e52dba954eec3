"""The production model itself, with a function that does nothing but say that it was called."""
