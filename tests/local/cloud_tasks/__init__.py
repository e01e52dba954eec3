"""The local Cloud Tasks server."""
