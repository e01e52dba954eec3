"""What a WAL row keeps when Firestore will never take all of it: enough to be found, marked and explained."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connector.events import WalRow

DOCUMENT_LIMIT_BYTES = 1024 * 1024
"""Firestore's own, which counts names and ids, too: a little below it, Firestore is asked."""
_SHORT_BYTES = 1024


def payload_bytes(row: WalRow) -> int:
    return sum(_size(value) for value in row.document["payload"].values())


def reductions(row: WalRow) -> Iterator[WalRow]:
    """Ever smaller forms of the row: without the wire bytes, then without every long value."""
    yield _without(row, {"wire"})
    yield _without(
        row, {name for name, value in row.document["payload"].items() if _size(value) > _SHORT_BYTES} | {"wire"}
    )


def fitting(row: WalRow) -> WalRow:
    """The row itself, or its largest form that a document can hold."""
    if payload_bytes(row) <= DOCUMENT_LIMIT_BYTES:
        return row
    return next((form for form in reductions(row) if payload_bytes(form) <= DOCUMENT_LIMIT_BYTES), row)


def _without(row: WalRow, names: set[str]) -> WalRow:
    payload = row.document["payload"]
    left_out = {name: _described(payload[name]) for name in sorted(names) if payload.get(name)}
    kept = {name: None if name in left_out else value for name, value in payload.items()}
    return replace(row, document=row.document | {"payload": kept | {"leftOut": left_out}})


def _described(value: Any) -> dict[str, Any]:
    """Size and digest: whoever finds the original elsewhere can tell that it is the one."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    return {
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "why": "Firestore cannot hold the row with it",
    }


def _size(value: object) -> int:
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode()) if isinstance(value, str) else 0
