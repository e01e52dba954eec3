"""Whether two rows under one id hold the same message: a sender chooses its ids, and may use one twice."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connector.events import WalRow
from core.ids import WaMessageKey, event_id, thread_id

_FILE_FIELDS = ("mediaKey", "encryptedSha256", "mime", "size", "fileName", "durationSec", "width", "height")
"""What tells two files without a hash apart. Not the path: a file that is uploaded again has another one."""
COMPARED_FIELDS = (
    "eventType",
    "payload.kind",
    "payload.text",
    "payload.fromMe",
    "payload.media.sha256",
    *(f"payload.media.{name}" for name in _FILE_FIELDS),
    "payload.location",
    "payload.contacts",
    "payload.poll",
    "payload.note",
    "payload.unsupportedType",
    "payload.leftOut",
)
"""What must be read of an existing row. Not the wire bytes: a phone that hands a message over again writes other ones."""
_INBOUND = "-in"
_DIGEST_DIGITS = 12


def says_the_same(existing: Mapping[str, Any], row: WalRow) -> bool:
    """`existing` is a document with COMPARED_FIELDS. Rows that are no messages have in their id all that they say."""
    if existing.get("eventType") != "message" or row.document["eventType"] != "message":
        return True
    there, here = existing.get("payload") or {}, row.document["payload"]
    if there.get("leftOut") or here.get("leftOut"):
        return True  # what was too large for a document cannot be compared
    if str(there.get("kind")).endswith("Message"):
        return True  # of a version that knew texts alone: it says only of which kind the message is
    return _said(there) == _said(here)


def under_its_own_id(row: WalRow) -> WalRow:
    """The row under an id that follows from what it says, so that its repetition meets it there."""
    digest = hashlib.sha256(repr(_said(row.document["payload"])).encode("utf-8", "surrogatepass")).hexdigest()
    base, suffix = (row.key.removesuffix(_INBOUND), _INBOUND) if row.key.endswith(_INBOUND) else (row.key, "")
    key = WaMessageKey(f"{base}-{digest[:_DIGEST_DIGITS]}{suffix}")
    document = row.document | {"waMessageKey": key}
    thread = thread_id(document["accountId"], document["chatId"])
    return replace(row, event_id=event_id(thread, key), key=key, document=document)


def _said(payload: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        payload.get("kind"),
        payload.get("text"),
        payload.get("fromMe"),
        _file(payload.get("media") or {}),
        *(_plain(payload.get(name)) for name in ("location", "contacts", "poll", "note", "unsupportedType")),
    )


def _file(media: Mapping[str, Any]) -> object:
    """The file's hash. Without a hash, whatever else describes the file: the sender may leave the hash out."""
    return media.get("sha256") or tuple((name, media[name]) for name in _FILE_FIELDS if media.get(name)) or None


def _plain(value: object) -> object:
    """Without the order of a map's fields, which Firestore does not keep."""
    if isinstance(value, Mapping):
        return tuple(sorted((name, _plain(part)) for name, part in value.items()))
    if isinstance(value, list):
        return tuple(_plain(part) for part in value)
    return value
