"""A short key that two rows of the ingest log share when they say the same under one id."""

import hashlib
from collections.abc import Mapping
from typing import Any


def content_key(event_id: str, event_type: str, payload: Mapping[str, Any]) -> bytes:
    """What a receipt says is in its id: the receipts of a contact's devices, which differ in time and sender, have one key."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, event_id)
    if event_type != "receipt":
        _feed(digest, payload)
    return digest.digest()


def _feed(digest: Any, value: object) -> None:
    """With type and length, so that no two different values feed the same bytes."""
    if isinstance(value, Mapping):
        digest.update(b"{%d}" % len(value))
        for name, part in value.items():
            _feed(digest, name)
            _feed(digest, part)
    elif isinstance(value, list):
        digest.update(b"[%d]" % len(value))
        for part in value:
            _feed(digest, part)
    else:
        raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        digest.update(b"%s(%d)" % (type(value).__name__.encode(), len(raw)))
        digest.update(raw)
