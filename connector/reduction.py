"""Decides which fields a WAL row keeps when it is too large for its event or for a Firestore document.

A row whose event would be too large leaves out the wire bytes, if the functions understand the row without them. Nothing else is
left out for an event: a text that is too long for one stays in the row, and the sweeper processes the row within a minute or two. What Firestore
will never take is left out until the rest is enough to be found, marked and explained.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connector.event_size import CARRIED_BODY_BYTES, created_body_bytes
from connector.events import WalRow
from core import schema
from core.content import UNSUPPORTED

DOCUMENT_LIMIT_BYTES = 1024 * 1024
"""Firestore's own, which counts names and ids, too: a little below it, Firestore is asked."""
_SHORT_BYTES = 1024
_SURELY_CARRIED_BYTES = 64 * 1024
"""A row with a smaller payload certainly fits into an event, and need not be encoded to find out: its other fields are ids of at most
1,500 bytes and times."""
_NO_DOCUMENT = "Firestore cannot hold the row with it"
_NO_EVENT = "no event carries the row with it"


def payload_bytes(row: WalRow) -> int:
    """Of what came; not of the note about what was left out."""
    return sum(_size(value) for name, value in row.document["payload"].items() if name != "leftOut")


def reductions(row: WalRow) -> Iterator[WalRow]:
    """Ever smaller forms of the row: without the wire bytes, then without every long value."""
    yield _without(row, {"wire"}, _NO_DOCUMENT)
    long = {name for name, value in row.document["payload"].items() if _size(value) > _SHORT_BYTES}
    yield _without(row, long | {"wire"}, _NO_DOCUMENT)


def fitting(row: WalRow) -> WalRow:
    """The row itself if its event is small enough; else the row without the wire bytes if that is small enough; else the largest form that a document can hold."""
    if _is_carried(row):
        return row
    if _is_understood_without_wire(row) and _is_carried(smaller := _without(row, {"wire"}, _NO_EVENT)):
        return smaller
    forms = (row, *reductions(row))
    return next((form for form in forms if payload_bytes(form) <= DOCUMENT_LIMIT_BYTES), row)


def _is_carried(row: WalRow) -> bool:
    if payload_bytes(row) <= _SURELY_CARRIED_BYTES:
        return True
    return created_body_bytes(schema.INGEST, row.event_id, row.document) <= CARRIED_BODY_BYTES


def _is_understood_without_wire(row: WalRow) -> bool:
    """Whether the row is a receipt, or a message of a known kind. For any other row, a later reader has only the wire bytes."""
    payload = row.document["payload"]
    return payload.get("kind", UNSUPPORTED) != UNSUPPORTED or "target" in payload or "whatsappIds" in payload


def _without(row: WalRow, names: set[str], why: str) -> WalRow:
    payload = row.document["payload"]
    left_out = {name: _described(payload[name], why) for name in sorted(names) if payload.get(name)}
    kept = {name: None if name in left_out else value for name, value in payload.items()}
    return replace(row, document=row.document | {"payload": kept | {"leftOut": left_out}})


def _described(value: Any, why: str) -> dict[str, Any]:
    """Size and digest: whoever finds the original elsewhere can tell that it is the one."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    return {
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "why": why,
    }


def _size(value: object) -> int:
    match value:
        case bytes():
            return len(value)
        case str():
            return len(value.encode())
        case dict():
            return sum(_size(each) for each in value.values())
        case list():
            return sum(_size(each) for each in value)
        case _:
            return 0
