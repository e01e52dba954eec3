"""Messages that an account may be missing: how many, which, and of what time. Kept in the account's private state until they are there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from core.degradation import Cause, parse_degradation
from core.ids import ChatId, EventId, WaMessageKey, canonical_chat, is_direct, is_number, parse_event_id

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
    heard_ms: int = 0
    """The connect of the last backlog whose loss is in it: the engine may tell of one twice."""

    @cached_property
    def awaited_keys(self) -> Mapping[WaMessageKey, tuple[EventId, ...]]:
        """The awaited rows by their message keys, which do not depend on the name of the chat."""
        found: dict[WaMessageKey, tuple[EventId, ...]] = {}
        for row in self.awaited:
            key = parse_event_id(row)[2]
            found[key] = (*found.get(key, ()), row)
        return found

    def joined(self, other: "Gap") -> "Gap":
        awaited = self.awaited | other.awaited
        kept = frozenset(sorted(awaited)[:_MOST_AWAITED])
        return Gap(
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            lost=self.lost + other.lost + len(awaited) - len(kept),
            awaited=kept,
            heard_ms=max(self.heard_ms, other.heard_ms),
        )

    def is_filled(self, standing: Mapping[EventId, bool], from_history: int) -> bool:
        """`standing` are those awaited rows that stand, and whether each came from the phone's history; `from_history` counts all
        rows of the time that did."""
        recovered = from_history - sum(standing.values())
        return self.awaited <= standing.keys() and recovered >= self.lost

    def words(self) -> str:
        parts = []
        if self.lost:
            parts.append(f"{_messages(self.lost)} announced by WhatsApp never came")
        if self.awaited:
            parts.append(f"{_messages(len(self.awaited))} could not be decrypted")
        return ", ".join(parts)

    def document(self) -> dict[str, object]:
        return {
            "startAt": self.start,
            "endAt": self.end,
            "lost": self.lost,
            "awaited": sorted(self.awaited),
            "heardMs": self.heard_ms,
        }


def is_named(awaited: EventId, names: Iterable[str]) -> bool:
    """Whether a row of an awaited message's key is that message. `names` are the row's names of its chat: a message is awaited under the
    name that was known then, and may come under the other one.

    The sender chose the id, at random. So a row of the same key counts as the message, unless a name proves another person: each
    person has one LID and one number. In a group the names must be equal.
    """
    chat = parse_event_id(awaited)[1]
    persons = {ChatId(canonical_chat(name, "")) for name in names if name}
    if chat in persons:
        return True
    alike = [name for name in persons if is_direct(name) and is_number(name) == is_number(chat)]
    return is_direct(chat) and bool(persons) and all(is_direct(name) for name in persons) and not alike


def is_told(account: Mapping[str, object]) -> bool:
    """Whether the account's document says that messages are missing."""
    return parse_degradation(account).stands(Cause.GAP)


def parse_gap(value: object) -> Gap | None:
    """As private/state holds it; None where it holds none, or what is none."""
    if not isinstance(value, Mapping):
        return None
    start, end, lost, awaited = (value.get(name) for name in ("startAt", "endAt", "lost", "awaited"))
    if not isinstance(start, datetime) or not isinstance(end, datetime) or not isinstance(lost, int):
        return None
    rows = awaited if isinstance(awaited, list) else []
    heard = value.get("heardMs")
    return Gap(
        start=start,
        end=end,
        lost=lost,
        awaited=frozenset(EventId(row) for row in rows if isinstance(row, str) and row.count("_") >= 2),
        heard_ms=heard if isinstance(heard, int) else 0,
    )


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
