"""The connector: keeps WhatsApp sessions open under Firestore leases, writes the ingest log, and sends what it is handed."""
