"""The order in which an account's events arrived, as the two times that a WAL row carries."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)
"""Firestore's resolution."""
_SECONDS_REMEMBERED = 4096
_LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z, the last that Firestore and datetime hold."""
_MAX_MILLISECOND = 999


@dataclass(kw_only=True)
class ArrivalOrder:
    """Gives each event of one account its times, in arrival order. `last_received_at` starts as the lease's receivedAt floor."""

    last_received_at: datetime
    _milliseconds: OrderedDict[int, int] = field(default_factory=OrderedDict, init=False)

    def received_at(self, now: datetime) -> datetime:
        """Now, or a tick after the last event where the clock did not move or was set back: it grows strictly."""
        self.last_received_at = max(now, self.last_received_at + _TICK)
        return self.last_received_at

    def timestamp(self, second: int, received_at: datetime) -> datetime:
        """WhatsApp's whole second with milliseconds that keep the arrival order within it.

        A second that is unset or beyond the calendar is replaced by that of `received_at`.
        """
        arrival_second = int(received_at.timestamp())
        if not 0 < second <= _LAST_SECOND:
            second = arrival_second
        least = received_at.microsecond // 1000 if second == arrival_second else 0
        previous = self._milliseconds.pop(second, -1)
        millisecond = min(max(previous + 1, least), _MAX_MILLISECOND)
        self._milliseconds[second] = millisecond
        if len(self._milliseconds) > _SECONDS_REMEMBERED:
            self._milliseconds.popitem(last=False)
        return datetime.fromtimestamp(second, UTC) + timedelta(milliseconds=millisecond)
