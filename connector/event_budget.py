"""Limits the memory of events that are not acknowledged yet: one number of bytes for all accounts of the process.

The limit of one account follows the rule "dynamic threshold" of A. K. Choudhury and E. L. Hahne (IEEE/ACM Transactions on Networking 6,
1998) with a factor of 1: an account takes no more events while it holds more than what is free. One account alone gets half of the
budget, and each of N accounts that take as much as they can gets 1/(N+1) of it. Nobody has to know how many accounts there are.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connector import metrics
from connector.events import WalRow

DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024
_BYTES_A_ROW = 2048
"""Of the objects around a row: the queue's entry, its future, and the row itself."""


@dataclass(kw_only=True)
class EventBudget:
    """One a process. An account that holds nothing may always take one event, so at most one event an account is beyond the budget."""

    total_bytes: int
    held_bytes: int = field(default=0, init=False)
    _waiting: dict["AccountShare", asyncio.Future[None]] = field(default_factory=dict, init=False)

    def share(self) -> "AccountShare":
        """For one stream of one account."""
        return AccountShare(budget=self)

    def change(self, size: int) -> None:
        """`size` bytes more are held, or fewer. Lets those go on that have room now."""
        self.held_bytes += size
        metrics.UNACKNOWLEDGED_BYTES.inc(size)
        if size < 0:
            for share in [share for share in self._waiting if share.has_room()]:
                room = self._waiting.pop(share)
                if not room.done():
                    room.set_result(None)

    @property
    def accounts_waiting(self) -> int:
        """How many accounts take no more events until they have room."""
        return len(self._waiting)

    async def wait_for_room(self, share: "AccountShare") -> None:
        while not share.has_room():
            room = asyncio.get_running_loop().create_future()
            self._waiting[share] = room
            metrics.HELD_BACK.inc()
            try:
                await room
            finally:
                metrics.HELD_BACK.dec()
                if self._waiting.get(share) is room:
                    del self._waiting[share]


@dataclass(eq=False, kw_only=True)
class AccountShare:
    """What one account holds."""

    budget: EventBudget
    held_bytes: int = field(default=0, init=False)

    def add(self, size: int) -> None:
        self.held_bytes += size
        self.budget.change(size)

    def remove(self, size: int) -> None:
        self.held_bytes -= size
        self.budget.change(-size)

    def has_room(self) -> bool:
        """Whether the account may take another event."""
        return self.held_bytes == 0 or self.held_bytes <= self.budget.total_bytes - self.budget.held_bytes

    async def wait_for_room(self) -> None:
        """Returns when the account may take another event. For one task at a time."""
        await self.budget.wait_for_room(self)


def memory_bytes(rows: Sequence[WalRow]) -> int:
    """How much memory the rows of one event take. What several of them share, such as the wire bytes, counts once."""
    seen: set[int] = set()
    return _BYTES_A_ROW * max(1, len(rows)) + sum(_memory_bytes(row.document, seen) for row in rows)


def _memory_bytes(value: object, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, Mapping):
        return size + sum(_memory_bytes(part, seen) for part in value.values())
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return size + sum(_memory_bytes(part, seen) for part in value)
    return size
