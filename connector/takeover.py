"""Asks an older instance at the same address for its accounts, as fast as this worker can open them.

It begins when a call arrives for an account that another instance at this address owns, since the call shows that the address leads to
this instance. The start of an instance does not show that: a revision can be deployed without traffic.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from connector import log
from connector.backoff import Backoff
from connector.leases import Leases
from connector.pace import Pace
from connector.store import UNAVAILABLE
from connector.succession import Succession
from core.ids import AccountId
from core.timing import Timing

_ON_THEIR_WAY = 16
"""The most accounts that are asked for and not claimed yet. This worker opens them within some two seconds, so their owner closes none
long before it can be opened here."""
_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 5.0

_Answer = TypeVar("_Answer")


@dataclass(kw_only=True)
class TakeOver:
    leases: Leases
    succession: Succession
    timing: Timing
    has_room: Callable[[], bool]
    """Whether this worker has room for one more account, beside those that it owns and those that it has asked for."""
    _called: dict[AccountId, None] = field(default_factory=dict, init=False)
    """Accounts that calls have arrived for, in the order of the calls. This worker asks for them first."""
    _others: dict[AccountId, None] = field(default_factory=dict, init=False)
    """The other accounts of the older instance."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(interval_s=self.timing.claim_pace_s)

    def called(self, account: AccountId) -> None:
        """Notes that a call has arrived for an account that this worker does not own."""
        self._called[account] = None
        self._woken.set()

    async def run(self) -> None:
        """Asks for accounts until it is cancelled."""
        self.succession.started_at = await self._retried(self.leases.firestore_time)
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._ask_for_all()

    async def _ask_for_all(self) -> None:
        while self._called or self._others:
            if self._must_wait(self.succession.expected()):
                await asyncio.sleep(self.timing.claim_pace_s)
                continue
            account = next(iter(self._called or self._others))
            self._called.pop(account, None)
            self._others.pop(account, None)
            await self._ask_for(account)

    def _must_wait(self, on_their_way: int) -> bool:
        """Whether to ask for no further account yet. Accounts on their way may take the last room; whether they do is known when they are claimed."""
        return on_their_way >= _ON_THEIR_WAY or (on_their_way > 0 and not self.has_room())

    async def _ask_for(self, account: AccountId) -> None:
        if not self.has_room():
            return
        await self._pace.turn()
        if not await self._retried(lambda: self._request(account)):
            return
        self.succession.expect(account)
        log.hand_over_asked(account)
        if not self._others:
            found = await self._retried(self.leases.find_of_others_here)
            self._others = dict.fromkeys(each for each in found if not self.succession.expects(each))

    async def _request(self, account: AccountId) -> bool:
        request = self.succession.request()
        return request is not None and await self.leases.ask_for(account, request)

    @staticmethod
    async def _retried(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=_RETRY_MAX_S)
        while True:
            try:
                return await call()
            except UNAVAILABLE as error:
                log.hand_over_not_asked(error)
                await asyncio.sleep(backoff.next_delay_s())
