"""Every query of the product against firestore.indexes.json: the emulator enforces no composite index, production does."""
