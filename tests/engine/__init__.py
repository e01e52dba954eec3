"""The engine's contract, over the wire: a real engine, a real WhatsApp server, and this side of engine.proto between them."""
