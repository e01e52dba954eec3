"""One worker's term as owner of one account: until when it may act, by its own clock."""

import asyncio
from dataclasses import dataclass, field

from connector.clock import now_s
from core.ids import AccountId, WorkerId

_LATEST_MS = 10**12
"""An end that never comes, as a number that the contract and Go's durations hold."""


class TermLost(Exception):
    """The account is no longer this worker's, or it cannot be known that it still is."""


@dataclass(kw_only=True)
class Term:
    """`deadline_s` is on the clock of connector/clock.py and counts from before the claim or renewal was sent, so it never lies
    after leaseUntil."""

    account: AccountId
    worker: WorkerId
    epoch: int
    deadline_s: float
    store_mark: int = 0
    """How far the engine says that the account's store has come, at last, in whoever's term; 0: not known."""
    _ended: bool = field(default=False, init=False)

    def seconds_left(self) -> float:
        return 0.0 if self._ended else max(0.0, self.deadline_s - now_s())

    def ends_ms(self) -> int:
        """The end as the engine is told it, never later than the deadline."""
        return int(min(self.deadline_s * 1000, _LATEST_MS))

    def is_live(self) -> bool:
        return self.seconds_left() > 0

    def check(self) -> None:
        """Raises TermLost. Called right before every write, acknowledgement and send."""
        if not self.is_live():
            raise TermLost("the lease's deadline has passed")

    def extend(self, deadline_s: float) -> None:
        self.check()
        self.deadline_s = deadline_s

    def note_mark(self, store_mark: int) -> None:
        """Answers may come out of their order; the mark only grows."""
        self.store_mark = max(self.store_mark, store_mark)

    def end(self) -> None:
        """From here on the worker does nothing more for the account, whatever the lease says."""
        self._ended = True

    async def wait_for_end(self) -> None:
        """Returns when the deadline has passed without a renewal."""
        while (left := self.seconds_left()) > 0:  # noqa: ASYNC110 - a renewal moves the deadline
            await asyncio.sleep(left)
