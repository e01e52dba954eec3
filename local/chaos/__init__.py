"""`make chaos`: people converse while the connector and its engine are killed, again and again; at the end all is compared."""
