"""`make demo`: one conversation from the QR code to the read ticks, with real processes and the real Firebase JS SDK."""
