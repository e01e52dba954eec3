"""A claim whose answer is lost: the account has an owner all the same, with a term no longer than the claim's; and what a claim moves."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from connector import leases as leases_module
from connector.accounts import AccountDocument
from connector.clock import now_s
from connector.engine import connect_engine
from connector.flush import Flusher
from connector.leases import Claimed, Leases
from connector.store import UpdateTime, commit
from connector.supervisor import Supervisor
from connector.term import TermLost
from connector.wal import Wal
from core import schema
from core.account import (
    NEVER,
    CommandKind,
    Lease,
    claim_fields,
    new_account_document,
    new_command,
    new_lease_document,
    parse_lease,
)
from core.ids import AccountId, WorkerId
from core.timing import Timing
from identity.tokens import IdentityTokens

PATIENCE_S = 30.0
CALL_S = 20.0
TTL_S = 120.0
W1 = WorkerId("w1")
_accounts = (AccountId(f"shop-{number}") for number in itertools.count(1))


@dataclass
class Faults:
    """Of the commits of claims, against the real Firestore."""

    is_applied: bool = True
    answer_is_lost: bool = False
    then: Callable[[], Awaitable[object]] | None = None
    """What comes between the commit and the lost answer."""
    began_s: list[float] = field(default_factory=list)

    async def commit(self, batch: AsyncWriteBatch, timeout_s: float) -> list[UpdateTime]:
        self.began_s.append(now_s())
        times = await commit(batch, timeout_s) if self.is_applied else []
        if self.then is not None:
            await self.then()
        if self.answer_is_lost:
            raise ServiceUnavailable("its answer was lost")
        return times


@dataclass(frozen=True, kw_only=True)
class Free:
    """An account that anybody may claim."""

    db: AsyncClient
    id: AccountId
    leases: Leases

    async def claim(self) -> Claimed:
        claimed = await self.leases.claim(self.id)
        assert claimed is not None
        return claimed

    async def write_lease(self, fields: dict[str, object]) -> None:
        await self.db.collection(schema.LEASES).document(self.id).update(fields)

    async def lease(self) -> Lease:
        return parse_lease((await self.db.collection(schema.LEASES).document(self.id).get()).to_dict() or {})

    async def document(self) -> dict[str, object]:
        return (await self.db.collection(schema.ACCOUNTS).document(self.id).get()).to_dict() or {}


@dataclass(kw_only=True)
class LateAccount(AccountDocument):
    """Whose owner is held up once it has looked at its lease."""

    after_a_look: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def confirm_term(self) -> None:
        await super().confirm_term()
        if self.after_a_look:
            await self.after_a_look.pop()()


@pytest.fixture
async def free(firestore_emulator: str) -> Free:
    db, account = AsyncClient(project="demo-claim-faults"), next(_accounts)
    await db.collection(schema.ACCOUNTS).document(account).create(new_account_document(account, "Shop"))
    await db.collection(schema.LEASES).document(account).create(new_lease_document(datetime.now(UTC)))
    return Free(db=db, id=account, leases=Leases(db=db, worker=W1, endpoint="http://w1", ttl_s=TTL_S, call_s=CALL_S))


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    faults = Faults()
    monkeypatch.setattr(leases_module, "commit", faults.commit)
    return faults


@pytest.fixture
async def supervisor(free: Free) -> AsyncIterator[Supervisor]:
    """On an engine that is not there."""
    engine = connect_engine(Path("no-such-engine.sock"), CALL_S)
    async with aiohttp.ClientSession() as http:
        supervisor = Supervisor(
            db=free.db,
            leases=free.leases,
            engine=engine,
            wal=Wal(free.db, CALL_S),
            flusher=Flusher(http=http, tokens=IdentityTokens(), url="http://127.0.0.1:1/flush", timing=Timing()),
            timing=Timing(),
            max_accounts=10,
            paces_sends=False,
        )
        yield supervisor
        await supervisor.stop()
    await engine.channel.close(None)


async def test_a_claim_whose_answer_was_lost_begins_its_term(free: Free, faults: Faults) -> None:
    faults.answer_is_lost = True
    claimed = await free.claim()
    faults.answer_is_lost = False
    assert (claimed.held.term.epoch, claimed.must_be_heeded) == (1, False)
    await claimed.held.renew()
    await claimed.account.write({"status": "connecting"})
    assert (await free.lease()).is_held_by(W1, 1)


async def test_a_term_whose_claim_was_found_applied_is_counted_from_before_the_claim(
    free: Free, faults: Faults
) -> None:
    faults.answer_is_lost, faults.then = True, lambda: asyncio.sleep(0.5)
    claimed = await free.claim()
    assert claimed.held.term.deadline_s <= faults.began_s[0] + TTL_S * 3 / 4


async def test_a_claim_that_was_not_applied_is_none(free: Free, faults: Faults) -> None:
    faults.answer_is_lost, faults.is_applied = True, False
    with pytest.raises(ServiceUnavailable):
        await free.claim()
    assert (await free.lease()).owner is None


@pytest.mark.parametrize("worker", ["w1", "w2"])
async def test_another_processs_claim_is_not_taken_for_ones_own(free: Free, faults: Faults, worker: str) -> None:
    """Of whatever name: a worker that was started anew has the one's before it."""

    async def claim_as_another() -> None:
        other = claim_fields(await free.lease(), WorkerId(worker), "http://w", datetime.now(UTC), TTL_S)
        await free.write_lease(other)

    faults.answer_is_lost, faults.is_applied, faults.then = True, False, claim_as_another
    with pytest.raises(ServiceUnavailable):
        await free.claim()


async def test_a_claim_that_is_over_again_by_the_time_it_is_looked_for_is_none(free: Free, faults: Faults) -> None:
    """Another's, with an end at the very same moment."""
    faults.answer_is_lost = True
    faults.then = lambda: free.write_lease({"ownerInstanceId": "w2", "epoch": 2})
    with pytest.raises(ServiceUnavailable):
        await free.claim()


async def test_a_command_that_comes_with_a_lost_answer_is_seen(free: Free, faults: Faults) -> None:
    command = new_command(CommandKind.PAIR_QR)
    faults.answer_is_lost, faults.then = True, lambda: free.write_lease({"command": command.document()})
    claimed = await free.claim()
    assert (claimed.before.command, claimed.must_be_heeded) == (command, True)


async def test_a_pause_that_comes_with_a_lost_answer_is_heeded(
    free: Free, faults: Faults, supervisor: Supervisor
) -> None:
    """It stands in the lease as it was read then: no renewal fails for it."""
    faults.answer_is_lost, faults.then = True, lambda: free.write_lease({"wanted": False})
    supervisor.poke(free.id)
    async with asyncio.timeout(PATIENCE_S):
        while supervisor.owned(free.id) is None:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
        faults.answer_is_lost, faults.then = False, None
        while (await free.lease()).owner is not None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert (await free.document())["disconnectReason"] == "paused"


async def test_a_worker_that_is_started_anew_moves_the_account_under_its_own_name(free: Free) -> None:
    """So that what the process before still writes is refused: nothing else in the account's document changes."""
    former = await free.claim()
    await free.write_lease({"leaseUntil": NEVER})
    await free.claim()
    with pytest.raises(TermLost):
        await former.account.write({"status": "error"})
    assert (await free.document())["status"] == "needs_qr"


async def test_a_claim_between_a_refused_writes_two_reads_is_seen(free: Free) -> None:
    """The account is read before the lease: what is known of it is older than a claim that comes after the lease was read."""
    claimed = await free.claim()
    known = {each.name: getattr(claimed.account, each.name) for each in fields(AccountDocument) if each.init}
    former = LateAccount(**known)

    async def claim_anew() -> None:
        await free.write_lease({"leaseUntil": NEVER})
        await free.claim()

    former.after_a_look.append(claim_anew)
    await free.db.collection(schema.ACCOUNTS).document(free.id).update({"name": "New name"})
    with pytest.raises(TermLost):
        await former.write({"status": "error"})
    assert former.after_a_look == []
    assert (await free.document())["status"] == "needs_qr"
