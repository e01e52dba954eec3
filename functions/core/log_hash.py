"""How logs name threads, requests and rows: their ids hold phone numbers, so a log carries a short keyed hash instead."""

import hashlib
import hmac

_LENGTH = 12


def log_hash(key: str, value: str) -> str:
    """Twelve hex digits, the same for the same id within a project; whoever holds the key and the id can compare."""
    return hmac.new(key.encode(), value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_LENGTH]
