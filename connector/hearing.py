"""An account's normal pattern: in how many of an hour's five-minute slots something is usually heard, for each hour of the week.

Hours are UTC's, and a silence is held against the quietest of the hour and its two neighbours: so the hour by which summer time moves
an office's day is no silence. Slots are counted and not events, since events come in bursts: a chat of forty messages is heard in
two slots, and says little about the next hour.
"""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SLOTS = 12
"""An hour has so many."""
_HOURS = 168
_PART = 1000
"""A stored mean is in thousandths of a slot."""
_MOST_WEEKS = 255
_FIRST_WEEKS = 4
"""Each of the first weeks counts alike; from then on a new one counts a quarter, so that half is forgotten within three weeks."""
_KNOWN_WEEKS = 2
"""What is usual in an hour of the week is known when it was observed so often."""
_JUDGED_WEEKS = 3
"""And judged by a week later, when it is known how long this account's silences last."""
_MEANS = struct.Struct(f">{_HOURS}H")


def hour_of_week(at: datetime) -> int:
    """From Monday, 00:00 UTC."""
    at = at.astimezone(UTC)
    return at.weekday() * 24 + at.hour


@dataclass(kw_only=True)
class Pattern:
    means: list[float] = field(default_factory=lambda: [0.0] * _HOURS)
    """Of an hour of the week: the mean number of slots in which something was heard."""
    weeks: list[int] = field(default_factory=lambda: [0] * _HOURS)
    """How often the hour was observed."""

    def learn(self, hour: int, heard_slots: float) -> None:
        """`hour` of the week was observed, connected, to its end."""
        self.weeks[hour] = min(self.weeks[hour] + 1, _MOST_WEEKS)
        self.means[hour] += (heard_slots - self.means[hour]) / min(self.weeks[hour], _FIRST_WEEKS)

    def usual(self, at: datetime) -> float:
        """How many slots of this hour one may count on to hear something in; 0 where that is not known yet."""
        hours = [(hour_of_week(at) + offset) % _HOURS for offset in (-1, 0, 1)]
        if any(self.weeks[hour] < _KNOWN_WEEKS for hour in hours):
            return 0.0
        return min(self.means[hour] for hour in hours)

    def is_known(self) -> bool:
        """Whether a silence may be judged by it: every hour that says anything was observed often enough."""
        return (
            any(self.means)
            and min(weeks for weeks, mean in zip(self.weeks, self.means, strict=True) if mean) >= _JUDGED_WEEKS
        )

    def stored(self) -> dict[str, object]:
        """504 bytes, whatever the account hears."""
        means = [min(round(mean * _PART), SLOTS * _PART) for mean in self.means]
        return {"means": _MEANS.pack(*means), "weeks": bytes(self.weeks)}


def parse_pattern(document: object) -> Pattern:
    """An empty one where nothing, or something else, is stored."""
    if not isinstance(document, dict):
        return Pattern()
    means, weeks = document.get("means"), document.get("weeks")
    if not (isinstance(means, bytes) and len(means) == _MEANS.size and isinstance(weeks, bytes)):
        return Pattern()
    if len(weeks) != _HOURS:
        return Pattern()
    return Pattern(means=[mean / _PART for mean in _MEANS.unpack(means)], weeks=list(weeks))


@dataclass(kw_only=True)
class HourUnderWay:
    """Collects what an hour of the week is learnt from: in which of its slots something was heard, and the session was connected."""

    begins: datetime
    _heard: int = 0
    _connected: int = 0

    @classmethod
    def of(cls, at: datetime) -> "HourUnderWay":
        return cls(begins=at.replace(minute=0, second=0, microsecond=0))

    def has_passed(self, at: datetime) -> bool:
        return not self.begins <= at < self.begins + timedelta(hours=1)

    def heard(self, at: datetime) -> None:
        self._heard |= 1 << _slot(at)

    def connected(self, at: datetime) -> None:
        self._connected |= 1 << _slot(at)

    def teach(self, pattern: Pattern) -> None:
        """Only of an hour that was watched for the most part: the rest says nothing of what is normal."""
        if self._connected.bit_count() >= SLOTS * 3 // 4:
            pattern.learn(hour_of_week(self.begins), self._heard.bit_count())


def _slot(at: datetime) -> int:
    return at.minute * SLOTS // 60
