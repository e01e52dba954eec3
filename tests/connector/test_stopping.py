"""A supervisor that stops claims nothing more: no account that it has found free, and none that waits for the rate limit."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from connector import accounts as accounts_module
from connector import leases as leases_module
from connector.engine import connect_engine
from connector.flush import Flusher
from connector.leases import Leases
from connector.store import UpdateTime, commit
from connector.supervisor import Supervisor
from connector.wal import Wal
from core import schema
from core.account import Lease, new_account_document, new_lease_document, parse_lease
from core.ids import AccountId, WorkerId
from core.timing import Timing
from identity.tokens import IdentityTokens

PATIENCE_S = 30.0
CALL_S = 20.0
TTL_S = 120.0
FREE = 30
SLOW = Timing(claim_pace_s=3600.0)
"""The first claim's turn comes at once, the second one's in an hour."""


@dataclass
class Commits:
    """Of leases: each waits until it is let go."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, batch: AsyncWriteBatch, timeout_s: float) -> list[UpdateTime]:
        self.begun.set()
        await self.let_go.wait()
        return await commit(batch, timeout_s)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Accounts that anybody may claim, and who claims them."""

    db: AsyncClient
    accounts: list[AccountId]
    supervisor: Supervisor

    async def first_claim(self) -> None:
        while not any(self.supervisor.owned(account) for account in self.accounts):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)

    async def leases(self) -> list[Lease]:
        documents = [self.db.collection(schema.LEASES).document(account) for account in self.accounts]
        return [parse_lease((await document.get()).to_dict() or {}) for document in documents]


@pytest.fixture
def timing() -> Timing:
    return SLOW


@pytest.fixture
async def shop(firestore_emulator: str, timing: Timing) -> AsyncIterator[Shop]:
    name = f"demo-stopping-{secrets.token_hex(3)}"
    db, engine = AsyncClient(project=name), connect_engine(Path("no-such-engine.sock"), CALL_S)
    accounts = [AccountId(f"shop-{number}") for number in range(FREE)]
    batch = db.batch()
    for account in accounts:
        batch.create(db.collection(schema.ACCOUNTS).document(account), new_account_document(account, "Shop"))
        batch.create(db.collection(schema.LEASES).document(account), new_lease_document(datetime.now(UTC)))
    await batch.commit()
    async with aiohttp.ClientSession() as http:
        supervisor = Supervisor(
            db=db,
            leases=Leases(db=db, worker=WorkerId("w1"), endpoint="http://w1", ttl_s=TTL_S, call_s=CALL_S),
            engine=engine,
            wal=Wal(db, CALL_S),
            flusher=Flusher(http=http, tokens=IdentityTokens(), url="http://127.0.0.1:1/flush", timing=timing),
            timing=timing,
            max_accounts=FREE,
            paces_sends=False,
        )
        yield Shop(db=db, accounts=accounts, supervisor=supervisor)
        await supervisor.stop()
    await engine.channel.close(None)


@dataclass
class Budget:
    """How many commits succeed before the process is killed."""

    left: int
    spent: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, batch: AsyncWriteBatch, timeout_s: float) -> list[UpdateTime]:
        if self.left == 0:
            self.spent.set()
            await self.over.wait()
        else:
            self.left -= 1
        return await commit(batch, timeout_s)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    commits = Commits()
    monkeypatch.setattr(leases_module, "commit", commits.commit)
    return commits


async def test_claims_that_wait_for_their_turn_end_when_the_supervisor_stops(shop: Shop) -> None:
    for account in shop.accounts:
        shop.supervisor.poke(account)
    async with asyncio.timeout(PATIENCE_S):
        await shop.first_claim()
        await shop.supervisor.stop()
    assert sum(lease.epoch or 0 for lease in await shop.leases()) == 1, "only the first one's turn had come"
    assert [lease.owner for lease in await shop.leases()] == [None] * FREE


async def test_a_look_at_free_accounts_ends_when_the_supervisor_stops(shop: Shop) -> None:
    """An account that was handed over is free at once, so a supervisor that still looked would find it."""
    looking = asyncio.create_task(shop.supervisor.run())
    async with asyncio.timeout(PATIENCE_S):
        await shop.first_claim()
        await shop.supervisor.stop()
        await looking
    assert sum(lease.epoch or 0 for lease in await shop.leases()) == 1
    assert [lease.owner for lease in await shop.leases()] == [None] * FREE


async def test_a_claim_that_is_being_committed_when_the_supervisor_stops_is_handed_over_at_once(
    shop: Shop, commits: Commits
) -> None:
    shop.supervisor.poke(shop.accounts[0])
    async with asyncio.timeout(PATIENCE_S):
        await commits.begun.wait()
        stopping = asyncio.create_task(shop.supervisor.stop())
        await asyncio.sleep(0)  # it has asked everything to end
        commits.let_go.set()
        await stopping
    claimed = (await shop.leases())[0]
    assert (claimed.owner, claimed.epoch) == (None, 1)


@pytest.mark.parametrize("timing", [Timing(claim_pace_s=0.001)])
async def test_accounts_are_given_back_one_after_another_and_not_all_half_way(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each release takes two commits, the account's and the lease's. An account that is not released when the process is killed has no
    owner for a lease time, so many accounts that are half released gain nothing."""
    for account in shop.accounts:
        shop.supervisor.poke(account)
    async with asyncio.timeout(PATIENCE_S):
        while not all(shop.supervisor.owned(account) for account in shop.accounts):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
        budget = Budget(left=FREE + 2)
        for module in (leases_module, accounts_module):
            monkeypatch.setattr(module, "commit", budget.commit)
        stopping = asyncio.create_task(shop.supervisor.stop())
        await budget.spent.wait()
        given_back = sum(lease.owner is None for lease in await shop.leases())
        budget.over.set()
        await stopping
    assert given_back >= FREE / 4
