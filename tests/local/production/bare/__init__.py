"""A functions source of its own: what `firebase deploy` would upload."""
