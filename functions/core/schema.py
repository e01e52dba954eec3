"""The names of the collections: the one home of the schema's words for them."""

ACCOUNTS = "whatsapp_accounts"
PRIVATE = "private"
PRIVATE_STATE = "state"
LEASES = "whatsapp_account_leases"
ALERTS = "whatsapp_alerts"
THREADS = "whatsapp_threads"
MESSAGES = "whatsapp_messages"
INGEST = "whatsapp_ingest"
OUTBOX = "whatsapp_outbox"
LOOKUPS = "whatsapp_lookups"
USERS = "users"
PREFS = "whatsapp_thread_prefs"


def prefs_of(uid: str) -> str:
    """The path of the collection of a user's preferences."""
    return f"{USERS}/{uid}/{PREFS}"
