"""The local stand-ins and commands."""
