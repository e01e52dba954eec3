"""The order in which an account's events arrived, as the two times that a WAL row carries."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from core.account import Lease
from core.ids import AccountId, WorkerId

_TICK = timedelta(microseconds=1)
"""Firestore's resolution."""
_SECONDS_REMEMBERED = 4096
_LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z, the last that Firestore and datetime hold."""
_STEP_US, _LAST_STEP_US = 1000, 999_000
"""Within a second: milliseconds, and microseconds when these are used up, or may have been by a former owner."""
_MAX_US = 999_999


@dataclass(kw_only=True)
class ArrivalOrder:
    """Gives each event of one account its times, in arrival order. `last_received_at` starts as the lease's receivedAt floor."""

    last_received_at: datetime
    _former_until_s: int = field(init=False)
    """A former owner may have stamped events of the seconds up to this one."""
    _last_us: OrderedDict[int, int] = field(default_factory=OrderedDict, init=False)

    def __post_init__(self) -> None:
        self._former_until_s = int(self.last_received_at.timestamp())

    def received_at(self, now: datetime) -> datetime:
        """Now, or a tick after the last event where the clock did not move or was set back: it grows strictly."""
        self.last_received_at = max(now, self.last_received_at + _TICK)
        return self.last_received_at

    def timestamp(self, second: int, received_at: datetime) -> datetime:
        """WhatsApp's whole second with a fraction that keeps the arrival order within it, over changes of owner, too.

        A second that is unset or beyond the calendar is replaced by that of `received_at`.
        """
        arrival_second = int(received_at.timestamp())
        if not 0 < second <= _LAST_SECOND:
            second = arrival_second
        previous = self._last_us.pop(second, None)
        if previous is not None:
            following = previous + (_STEP_US if previous < _LAST_STEP_US else 1)
        else:
            following = _LAST_STEP_US + 1 if second <= self._former_until_s else 0
        least = received_at.microsecond // _STEP_US * _STEP_US if second == arrival_second else 0
        microsecond = min(max(following, least), _MAX_US)
        self._last_us[second] = microsecond
        if len(self._last_us) > _SECONDS_REMEMBERED:
            self._last_us.popitem(last=False)
        return datetime.fromtimestamp(second, UTC) + timedelta(microseconds=microsecond)


@dataclass(kw_only=True)
class ArrivalOrders:
    """The orders of this worker's accounts, which outlive its terms: whoever follows itself goes on where it was."""

    worker: WorkerId
    _orders: dict[AccountId, ArrivalOrder] = field(default_factory=dict, init=False)

    def begin_term(self, account: AccountId, before: Lease) -> ArrivalOrder:
        """`before` is the lease as it stood before the claim."""
        floor = before.received_at_floor()
        known = self._orders.get(account) if before.owner == self.worker else None
        if known is None:
            known = self._orders[account] = ArrivalOrder(last_received_at=floor)
        known.last_received_at = max(known.last_received_at, floor)
        return known
