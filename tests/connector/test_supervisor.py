"""Workers that look for free accounts do not look in step, nor try the same account first."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connector import supervisor as supervisor_module
from connector.engine import connect_engine
from connector.leases import Claimed, Leases, MayClaim
from connector.supervisor import Supervisor
from core.ids import AccountId, WorkerId
from core.timing import Timing

LOOKS = 20
TIMING = Timing().scaled(0.001)
NONE: Any = None
"""What nobody asks for before an account is claimed."""


class Enough(Exception):
    """It has looked often enough."""


@dataclass(frozen=True, kw_only=True)
class OthersLeases(Leases):
    """The same accounts are free at each look, and another worker is faster each time."""

    free: tuple[AccountId, ...]
    tried: list[AccountId] = field(default_factory=list)

    async def find_free(
        self, known_bad: Collection[AccountId], may_claim: MayClaim = lambda _lease: True
    ) -> list[AccountId]:
        del known_bad, may_claim
        return list(self.free)

    async def claim(self, account: AccountId, may_claim: MayClaim = lambda _lease: True) -> Claimed | None:
        del may_claim
        self.tried.append(account)
        return None


@dataclass
class Looking:
    leases: OthersLeases
    supervisor: Supervisor
    pauses_s: list[float] = field(default_factory=list)
    """Between one look and the next."""

    async def sleep(self, seconds: float) -> None:
        """In the place of asyncio's. One that owns nothing waits for nobody before it claims."""
        if seconds == 0:
            return
        self.pauses_s.append(seconds)
        if len(self.pauses_s) == LOOKS:
            raise Enough

    async def run(self) -> None:
        with pytest.raises(Enough):
            await self.supervisor.run()


@pytest.fixture
async def looking(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looking]:
    free = tuple(AccountId(f"shop-{number}") for number in range(10))
    leases = OthersLeases(db=NONE, worker=WorkerId("w1"), endpoint="http://w1", ttl_s=24, call_s=8, free=free)
    engine = connect_engine(Path("no-such-engine.sock"), 8)
    supervisor = Supervisor(
        db=NONE,
        leases=leases,
        engine=engine,
        wal=NONE,
        flusher=NONE,
        timing=TIMING,
        max_accounts=500,
        paces_sends=False,
    )
    looking = Looking(leases=leases, supervisor=supervisor)
    monkeypatch.setattr(supervisor_module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": looking.sleep}))
    yield looking
    await engine.channel.close(None)


async def test_a_worker_looks_after_half_of_the_longest_time_or_more_and_never_in_step(looking: Looking) -> None:
    await looking.run()
    assert all(TIMING.lease_claim_s / 2 <= pause_s <= TIMING.lease_claim_s for pause_s in looking.pauses_s)
    assert len(set(looking.pauses_s)) > 1


async def test_a_worker_tries_all_that_is_free_in_another_order_at_each_look(looking: Looking) -> None:
    await looking.run()
    free, tried = looking.leases.free, looking.leases.tried
    orders = [tuple(tried[begin : begin + len(free)]) for begin in range(0, len(tried), len(free))]
    assert len(orders) == LOOKS
    assert {frozenset(order) for order in orders} == {frozenset(free)}
    assert len({order[0] for order in orders}) > 1
