"""Remembers which rows exist in the ingest log, so that an event that comes again costs no write.

Receipts come again all the time: each linked device of a contact sends its own, and all of them have one row.
"""

from collections.abc import Iterable

from connector.events import WalRow

_ROWS_REMEMBERED = 65_536
"""About 10 MB."""


class RecentRows:
    """The rows of all accounts of the process that were written or found last. Forgets the oldest."""

    def __init__(self, limit: int = _ROWS_REMEMBERED) -> None:
        self._limit = limit
        self._keys: dict[bytes, None] = {}

    def add(self, rows: Iterable[WalRow]) -> None:
        """Remembers rows that exist in Firestore. The caller must know that they do: a remembered row is not written again."""
        for row in rows:
            self._keys[row.content_key] = None
        while len(self._keys) > self._limit:
            del self._keys[next(iter(self._keys))]

    def __contains__(self, row: WalRow) -> bool:
        return row.content_key in self._keys
