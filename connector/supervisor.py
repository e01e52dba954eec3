"""The accounts of this worker: claims free ones, runs each by itself, and hands all over when it stops."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.cloud.firestore import AsyncClient

from connector import log, metrics
from connector.arrival import ArrivalOrders
from connector.engine import Engine
from connector.flush import Flusher
from connector.gate import Gate
from connector.leases import Claimed, Leases, NotClaimable
from connector.ownership import Ownership
from connector.pace import Pace
from connector.sending import Sends
from connector.session import Session
from connector.silence import parse_silence
from connector.store import UNAVAILABLE
from connector.succession import Succession
from connector.wal import Wal
from core.account import Lease
from core.ids import AccountId
from core.timing import Timing

_HURRIED_PART = 1 / 4
"""The part of the usual time between two looks for leases while accounts are handed over: half a second at most."""

_RELEASES_AT_ONCE = 16
"""How many accounts are closed and released in parallel. If all 500 were, all would be half closed when Cloud Run kills the process
10 s after SIGTERM, and none would be free."""


@dataclass(kw_only=True)
class Supervisor:
    db: AsyncClient
    leases: Leases
    engine: Engine
    wal: Wal
    flusher: Flusher
    timing: Timing
    max_accounts: int
    paces_sends: bool
    phone_day_s: float = 86_400.0
    shows_groups: bool = True
    trusts_announced: bool = False
    _owned: dict[AccountId, Ownership] = field(default_factory=dict, init=False)
    _tasks: dict[AccountId, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _background: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _bad: set[AccountId] = field(default_factory=set, init=False)
    """Accounts that could not be claimed for what their documents hold: tried again each time, logged once."""
    _claims_under_way: int = field(default=0, init=False)
    _is_full: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _in_pace: set[asyncio.Task[Any]] = field(default_factory=set, init=False)
    """Claims that wait for the rate limit, and have read and written nothing yet."""
    _begun: set[AccountId] = field(default_factory=set, init=False)
    """Accounts whose claim is under way or waits for the rate limit."""
    succession: Succession = field(init=False)
    _orders: ArrivalOrders = field(init=False)
    _claims: Pace = field(init=False)
    _opens: Pace = field(init=False)
    _releases: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._orders = ArrivalOrders(worker=self.leases.worker)
        self.succession = Succession(worker=self.leases.worker, timing=self.timing)
        self._claims = Pace(interval_s=self.timing.claim_pace_s)
        self._releases = asyncio.Semaphore(_RELEASES_AT_ONCE)
        self._opens = Pace(interval_s=self.timing.claim_pace_s)

    def owned(self, account: AccountId) -> Ownership | None:
        return self._owned.get(account)

    def poke(self, account: AccountId) -> None:
        """Looks at the account's lease at once, whether it is owned or not."""
        owned = self._owned.get(account)
        if owned is not None:
            owned.poke()
        else:
            self._start(self._claim(account))

    def has_room_to_ask(self) -> bool:
        """Whether one more account may be asked for, beside those that are owned, being claimed, or asked for already."""
        taken = len(self._owned) + self._claims_under_way + self.succession.expected()
        return not self._stopping and taken < self.max_accounts

    async def run(self) -> None:
        """Looks for free accounts until it stops or is cancelled."""
        while not self._stopping:
            await self.engine.serving.wait()
            if self._is_succeeded():
                await self._hand_over_what_is_asked_for()
            if self._has_room():
                await self._look()  # an older instance finds only what the newer one has left for long
            await asyncio.sleep(self._pause_s())

    async def stop(self) -> None:
        """Stops claiming, hands every account over, and returns when that is done."""
        self._stopping = True
        for claim in self._in_pace:
            claim.cancel()
        for owned in self._owned.values():
            owned.stop()
        # A claim that was just being committed may still succeed. Its account is then handed over, too.
        while tasks := [task for task in (*self._tasks.values(), *self._background) if not task.done()]:
            await asyncio.wait(tasks)

    def _pause_s(self) -> float:
        """The time between two looks for leases. While accounts are handed over, a late look leaves an account without an owner."""
        is_handing_over = self.succession.expected() > 0 or (
            self._is_succeeded() and self.succession.was_asked_lately()
        )
        part = _HURRIED_PART if is_handing_over else 1.0
        return self.timing.lease_claim_s * part * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def _is_succeeded(self) -> bool:
        """Whether a newer instance at this address has asked for accounts of this one."""
        return self.succession.successor is not None and bool(self._owned)

    async def _hand_over_what_is_asked_for(self) -> None:
        """Finds all requests for this worker's accounts with one query. Without it, each account would see its request with the next renewal."""
        assert self.succession.successor is not None
        try:
            asked = await self.leases.find_asked_for(self.succession.successor)
        except UNAVAILABLE as error:
            log.free_leases_unknown(error)
            return
        for account in asked:
            owned = self._owned.get(account)
            if owned is not None:
                owned.poke()

    async def _look(self) -> None:
        """Claims what is free: at once what was asked for, and where this worker owns nothing; else the later the more it owns, since
        others may have more room."""
        try:
            free = await self.leases.find_free(self._bad, self._may_claim)
        except UNAVAILABLE as error:
            log.free_leases_unknown(error)
            return
        if not free:
            return
        for account in free:
            if self.succession.expects(account) and account not in self._begun and not self._stopping:
                self._start(
                    self._claim(account)
                )  # in parallel, as fast as the rate limit allows: these accounts have no owner
        others = [account for account in free if not self.succession.expects(account)]
        if not others:
            return
        await asyncio.sleep(self.timing.lease_claim_s * len(self._owned) / self.max_accounts)
        random.shuffle(others)  # workers that look together try different ones first
        await self._claim_all(sorted(others, key=self._bad.__contains__))

    async def _claim_all(self, accounts: Sequence[AccountId]) -> None:
        """One after the other."""
        for account in accounts:
            if self._stopping:
                return
            await asyncio.wait([self._start(self._claim(account))])  # a task: `stop` can cancel it or wait for it

    def _has_room(self) -> bool:
        """Whether one account more may be claimed. A worker without is told of once, until it has room again."""
        has_room = len(self._owned) + self._claims_under_way < self.max_accounts
        if not has_room and not self._is_full:
            log.at_capacity(self.max_accounts)
        self._is_full = not has_room
        metrics.AT_CAPACITY.set(self._is_full)
        return has_room

    async def _claim(self, account: AccountId) -> None:
        if self._stopping:
            return
        self._begun.add(account)
        try:
            if account not in self._bad:
                await self._await_turn()
            await self._claim_in_turn(account)
        finally:
            self._begun.discard(account)

    async def _claim_in_turn(self, account: AccountId) -> None:
        # Without an engine, another worker would do better.
        if self._stopping or account in self._tasks or not self.engine.serving.is_set() or not self._has_room():
            return
        self._claims_under_way += 1
        try:
            await self._try_to_claim(account)
        finally:
            self._claims_under_way -= 1

    async def _await_turn(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._in_pace.add(task)
        try:
            await self._claims.turn()
        finally:
            self._in_pace.discard(task)

    def _may_claim(self, lease: Lease) -> bool:
        return not self._stopping and self.succession.may_claim(lease)

    async def _try_to_claim(self, account: AccountId) -> None:
        """One account's odd documents must not end the others' sessions: whatever fails is logged, and tried again."""
        try:
            claimed = await self.leases.claim(account, self._may_claim)
            if claimed is not None:
                self._take(account, claimed)
        except UNAVAILABLE as error:
            log.lease_not_claimed(account, error)
        except NotClaimable as reason:
            if account not in self._bad:
                log.lease_not_claimable(account, str(reason))
            self._bad.add(account)
        except Exception as error:  # noqa: BLE001 - the account's own edge
            if account not in self._bad:
                log.crashed("claiming an account", error, account)
            self._bad.add(account)
        else:
            self._bad.discard(account)

    def _take(self, account: AccountId, claimed: Claimed) -> None:
        log.lease_claimed(account, claimed.held.term.epoch)
        self.succession.claimed(account)
        ownership = self._ownership(claimed)
        if claimed.must_be_heeded:
            ownership.poke()
        if self._stopping:
            ownership.stop()
        self._owned[account] = ownership
        self._tasks[account] = asyncio.create_task(self._own(account, ownership))

    def _ownership(self, claimed: Claimed) -> Ownership:
        session = Session(
            db=self.db,
            engine=self.engine,
            wal=self.wal,
            account=claimed.account,
            phone_day_s=self.phone_day_s,
            shows_groups=self.shows_groups,
            trusts_announced=self.trusts_announced,
            order=self._orders.begin_term(claimed.held.term.account, claimed.before),
            silence=parse_silence(claimed.hearing, timedelta(seconds=self.timing.deaf_least_s), claimed.last_synced_at),
            look_s=self.timing.hearing_look_s,
            heartbeat_s=self.timing.heartbeat_s,
            call_s=claimed.held.call_s,
            opens=self._opens,
            on_connected=self.flusher.request,
        )
        return Ownership(
            held=claimed.held,
            session=session,
            sends=Sends(
                session=session,
                engine=self.engine,
                engine_send_s=self.timing.engine_send_s,
                gate=Gate(session=session, timing=self.timing, paces=self.paces_sends),
            ),
            engine=self.engine,
            timing=self.timing,
            releases=self._releases,
            yields_to=self.succession.yields_to,
        )

    async def _own(self, account: AccountId, ownership: Ownership) -> None:
        try:
            await ownership.run()
        except Exception as error:  # noqa: BLE001 - one account's failure must not end the others' sessions
            log.crashed("an account's session", error, account)
        finally:
            del self._owned[account], self._tasks[account]

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
