"""The engine contract: engine.proto, and what is generated from it (`make proto`)."""
