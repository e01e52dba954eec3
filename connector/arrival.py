"""The order in which an account's events arrived, as the two times that a WAL row carries."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from core.account import Lease
from core.ids import AccountId, WorkerId

_TICK = timedelta(microseconds=1)
"""Firestore's resolution."""
_CLOCKS_DIFFER_S = 5
"""By so much a worker's clock may be behind WhatsApp's, which gives the seconds: then it stamps some that are yet to come by its own."""
_SECONDS_REMEMBERED = 4096
_LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z, the last that Firestore and datetime hold."""
_STEP_US, _LAST_STEP_US = 1000, 989_000
"""Within a second: milliseconds, and microseconds when these are used up."""
_SHARED_US, _SHARED_SLOTS = 990_000, 10_000
"""The end of a second that owners share: each of its microseconds belongs to one sequence of the engine's."""


@dataclass(kw_only=True)
class ArrivalOrder:
    """Gives each event of one account its times, in arrival order. `last_received_at` starts as the lease's receivedAt floor."""

    last_received_at: datetime
    _former_until_s: int = field(init=False)
    """A former owner may have stamped events of the seconds up to this one."""
    _last_us: OrderedDict[int, int] = field(default_factory=OrderedDict, init=False)

    def __post_init__(self) -> None:
        self._former_until_s = int(self.last_received_at.timestamp()) + _CLOCKS_DIFFER_S

    def received_at(self, now: datetime) -> datetime:
        """Now, or a tick after the last event where the clock did not move or was set back: it grows strictly."""
        self.last_received_at = max(now, self.last_received_at + _TICK)
        return self.last_received_at

    def timestamp(self, second: int, received_at: datetime, sequence: int) -> datetime:
        """WhatsApp's whole second with a fraction that keeps the arrival order within it, over changes of owner, too.

        `sequence` is the engine's, which grows whoever owns the session. A second that is unset or beyond the calendar is replaced
        by that of `received_at`.
        """
        arrival_second = int(received_at.timestamp())
        if not 0 < second <= _LAST_SECOND:
            second = arrival_second
        if second <= self._former_until_s:
            microsecond = _SHARED_US + sequence % _SHARED_SLOTS
        else:
            least = received_at.microsecond // _STEP_US * _STEP_US if second == arrival_second else 0
            microsecond = self._next_us(second, least)
        return datetime.fromtimestamp(second, UTC) + timedelta(microseconds=microsecond)

    def _next_us(self, second: int, least: int) -> int:
        """Within a second that is this owner's alone."""
        previous = self._last_us.pop(second, None)
        following = 0
        if previous is not None:
            following = previous + (_STEP_US if previous < _LAST_STEP_US else 1)
        # Not too near its end: whoever arrives there leaves room for those that follow within the second.
        chosen = min(max(following, min(least, _LAST_STEP_US)), _SHARED_US - 1)
        self._last_us[second] = chosen
        if len(self._last_us) > _SECONDS_REMEMBERED:
            self._last_us.popitem(last=False)
        return chosen


@dataclass(kw_only=True)
class ArrivalOrders:
    """The orders of this worker's accounts, which outlive its terms: whoever follows itself goes on where it was."""

    worker: WorkerId
    _orders: dict[AccountId, tuple[int, ArrivalOrder]] = field(default_factory=dict, init=False)
    """Each with the epoch of the term that it was last used in."""

    def begin_term(self, account: AccountId, before: Lease) -> ArrivalOrder:
        """`before` is the lease as it stood before the claim.

        Its owner is this worker, too, where an earlier claim's answer was lost; but others may have had a term since the last one of
        which this worker knows: it follows itself only where the epoch says so.
        """
        floor = before.received_at_floor()
        last_epoch, known = self._orders.get(account, (None, None))
        if known is None or before.owner != self.worker or before.epoch != last_epoch:
            known = ArrivalOrder(last_received_at=floor)
        known.last_received_at = max(known.last_received_at, floor)
        self._orders[account] = before.next_epoch(), known
        return known
