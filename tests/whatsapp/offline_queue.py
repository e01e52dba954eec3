"""A device's stanzas that it has not confirmed yet, in the order in which they were written."""

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.whatsapp.node import Node

Confirmation = tuple[str, str, str, str]
"""Tag, id, type and sender of a stanza: what its confirmation names."""


@dataclass(frozen=True, slots=True)
class Entry:
    number: int
    stanza: Node


@dataclass
class OfflineQueue:
    """Stanzas can be alike (an id that is used again): each confirmation then takes the oldest of them."""

    _entries: dict[int, Entry] = field(default_factory=dict)
    _alike: defaultdict[Confirmation, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def stanzas(self) -> list[Node]:
        return [entry.stanza for entry in self._entries.values()]

    def add(self, stanza: Node) -> Entry:
        entry = Entry(next(self._numbers), stanza)
        self._entries[entry.number] = entry
        self._alike[_key(stanza)].append(entry.number)
        return entry

    def after(self, number: int) -> list[Entry]:
        """Those that were added after this one."""
        return [entry for entry in self._entries.values() if entry.number > number]

    def lose(self, entry: Entry) -> None:
        """It waits no more, although nobody got it."""
        key = _key(entry.stanza)
        del self._entries[entry.number]
        self._alike[key].remove(entry.number)
        if not self._alike[key]:
            del self._alike[key]

    def confirm(self, confirmation: Confirmation) -> bool:
        """False where nothing of the kind was waiting."""
        numbers = self._alike.get(confirmation)
        if not numbers:
            return False
        del self._entries[numbers.popleft()]
        if not numbers:
            del self._alike[confirmation]
        return True


def _key(stanza: Node) -> Confirmation:
    kind = "" if stanza.tag == "message" else stanza.text("type") or ""
    return stanza.tag, stanza.need_text("id"), kind, stanza.need_text("from")
