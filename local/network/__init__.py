"""The simulated network: the engine's contract and, behind it, a WhatsApp of contacts that receive, answer, read and misbehave on request."""
