"""docs/clients.md against the code: the vectors that every client can test itself with, and each language's snippet."""
