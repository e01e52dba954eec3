"""Identity tokens."""
