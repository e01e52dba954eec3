"""Messages that an account may be missing: how many, which, and of what time. Kept in the account's private state until they are there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.ids import EventId

FIELD = "syncGap"
"""Of private/state."""
CLOCKS = timedelta(minutes=1)
"""A message's time is WhatsApp's, the ends of a gap are ours: a message this far outside may belong to it."""
_MOST_AWAITED = 500
"""More than that are looked for by their number alone."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """`lost` messages were announced and never came: nobody knows which. `awaited` are rows of messages that could not be decrypted."""

    start: datetime
    end: datetime
    lost: int = 0
    awaited: frozenset[EventId] = frozenset()

    def joined(self, other: "Gap") -> "Gap":
        awaited = self.awaited | other.awaited
        kept = frozenset(sorted(awaited)[:_MOST_AWAITED])
        return Gap(
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            lost=self.lost + other.lost + len(awaited) - len(kept),
            awaited=kept,
        )

    def without(self, rows: Collection[EventId]) -> "Gap":
        """Those rows stand."""
        return replace(self, awaited=self.awaited.difference(rows))

    def words(self) -> str:
        parts = []
        if self.lost:
            parts.append(f"{_messages(self.lost)} announced by WhatsApp never came")
        if self.awaited:
            parts.append(f"{_messages(len(self.awaited))} could not be decrypted")
        return ", ".join(parts)

    def document(self) -> dict[str, object]:
        return {"startAt": self.start, "endAt": self.end, "lost": self.lost, "awaited": sorted(self.awaited)}


def parse_gap(value: object) -> Gap | None:
    """As private/state holds it; None where it holds none, or what is none."""
    if not isinstance(value, Mapping):
        return None
    start, end, lost, awaited = (value.get(name) for name in ("startAt", "endAt", "lost", "awaited"))
    if not isinstance(start, datetime) or not isinstance(end, datetime) or not isinstance(lost, int):
        return None
    rows = awaited if isinstance(awaited, list) else []
    return Gap(start=start, end=end, lost=lost, awaited=frozenset(EventId(row) for row in rows if isinstance(row, str)))


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
