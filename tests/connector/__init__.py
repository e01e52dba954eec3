"""The connector: its pure parts with plain values, all else as a real process."""
