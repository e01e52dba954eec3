"""A lease whose reads and writes fail at the worst moment: commands are begun once and end with one owner or the next, and an account is always given back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from connector.arrival import ArrivalOrder
from connector.engine import Engine, connect_engine
from connector.gate import Gate
from connector.leases import HeldLease, Leases
from connector.ownership import Ownership
from connector.pace import Pace
from connector.sending import Sends
from connector.session import Session
from connector.silence import Silence
from connector.store import UpdateTime
from connector.wal import Wal
from core import schema
from core.account import Command, CommandKind, Lease, Status, new_account_document, new_command, new_lease_document
from core.account import parse_lease as parsed
from core.ids import AccountId, WorkerId
from core.timing import Timing

PATIENCE_S = 30.0
CALL_S = 20.0
TIMING = replace(Timing(), lease_renew_s=0.2)
_accounts = iter(range(1000))


class Fault(StrEnum):
    REFUSED = "refused"
    ANSWER_LOST = "answer lost"
    """Carried out all the same."""


@dataclass(kw_only=True)
class FaultyLease(HeldLease):
    """Against the real Firestore; each fault befalls one call."""

    on_read: list[Fault] = field(default_factory=list)
    on_write: list[Fault] = field(default_factory=list)

    async def read(self) -> Lease:
        if self.on_read:
            self.on_read.pop()
            raise ServiceUnavailable("refused")
        return await super().read()

    async def _commit(self, batch: AsyncWriteBatch) -> UpdateTime:
        fault = self.on_write.pop() if self.on_write else None
        if fault is Fault.REFUSED:
            raise ServiceUnavailable("refused")
        update_time = await super()._commit(batch)
        if fault is Fault.ANSWER_LOST:
            raise ServiceUnavailable("its answer was lost")
        return update_time


@dataclass(kw_only=True)
class IdleSession(Session):
    """Does nothing but note what it is asked for."""

    begun: list[Command] = field(default_factory=list)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether the first thing that it is asked for comes to an end."""
    failures_left: int = 0
    """How often that is a failure."""
    drain_limits_s: list[float] = field(default_factory=list)
    tries: int = 0
    left: list[tuple[Status | None, str]] = field(default_factory=list)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def try_again(self) -> None:
        self.tries += 1

    async def carry_out(self, command: Command) -> bool:
        self.begun.append(command)
        if command == self.begun[0]:
            await self.may_end.wait()
        self.failures_left -= 1
        return self.failures_left < 0

    async def drain(self, limit_s: float) -> None:
        self.drain_limits_s.append(limit_s)

    async def leave(self, status: Status | None, reason: str) -> None:
        self.left.append((status, reason))


@dataclass(kw_only=True)
class SlowSends(Sends):
    """Its sends never end. Tells how long it was given for them."""

    drain_limits_s: list[float] = field(default_factory=list)

    async def drain(self, limit_s: float) -> None:
        self.drain_limits_s.append(limit_s)
        await asyncio.sleep(limit_s)


@dataclass(kw_only=True)
class Owner:
    db: AsyncClient
    account: AccountId
    lease: FaultyLease
    session: IdleSession
    sends: SlowSends
    ownership: Ownership

    async def command(self) -> Command:
        """A super-admin asks for something, and the owner is poked."""
        command = new_command(CommandKind.LOGOUT)
        await self.write({"command": command.document()})
        self.ownership.poke()
        return command

    async def write(self, fields: dict[str, Any]) -> None:
        await self.db.collection(schema.LEASES).document(self.account).update(fields)

    async def standing(self) -> Lease:
        return parsed((await self.db.collection(schema.LEASES).document(self.account).get()).to_dict() or {})

    async def stopped(self, running: "asyncio.Task[None]") -> Lease:
        self.ownership.stop()
        await asyncio.wait_for(running, PATIENCE_S)
        return await self.standing()


@pytest.fixture
async def owner(firestore_emulator: str) -> AsyncIterator[Owner]:
    db = AsyncClient(project="demo-lease-faults")
    engine = connect_engine(Path("no-such-engine.sock"), CALL_S)
    yield await claimed(db, engine)
    await engine.channel.close(None)


async def claimed(db: AsyncClient, engine: Engine, timing: Timing = TIMING, ttl_s: float = 120.0) -> Owner:
    account, now = AccountId(f"shop-{next(_accounts)}"), datetime.now(UTC)
    await db.collection(schema.ACCOUNTS).document(account).create(new_account_document(account, "Shop"))
    await db.collection(schema.LEASES).document(account).create(new_lease_document(now))
    leases = Leases(db=db, worker=WorkerId("w1"), endpoint="http://w1", ttl_s=ttl_s, call_s=CALL_S)
    claim = await leases.claim(account)
    assert claim is not None
    held = claim.held
    lease = FaultyLease(db=db, term=held.term, ttl_s=held.ttl_s, call_s=CALL_S, update_time=held.update_time)
    session = IdleSession(
        db=db,
        engine=engine,
        wal=Wal(db, CALL_S),
        account=claim.account,
        order=ArrivalOrder(last_received_at=now),
        heartbeat_s=timing.heartbeat_s,
        call_s=CALL_S,
        opens=Pace(interval_s=0),
        on_connected=lambda _: None,
        silence=Silence(least=timedelta(hours=1)),
        look_s=timing.hearing_look_s,
    )
    sends = SlowSends(
        session=session,
        engine=engine,
        engine_send_s=timing.engine_send_s,
        gate=Gate(session=session, timing=timing, paces=False),
    )
    ownership = Ownership(held=lease, session=session, sends=sends, engine=engine, timing=timing)
    return Owner(db=db, account=account, lease=lease, session=session, sends=sends, ownership=ownership)


async def until_standing(owner: Owner, holds: Callable[[Lease], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds(await owner.standing()):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_command_is_begun_once_though_clearing_it_fails_at_first(owner: Owner, fault: Fault) -> None:
    command = await owner.command()
    running = asyncio.create_task(owner.ownership.run())
    await until(lambda: bool(owner.session.begun))
    owner.lease.on_write.append(fault)
    owner.session.may_end.set()
    await until(lambda: not owner.lease.on_write)
    owner.ownership.poke()
    lease = await owner.stopped(running)
    assert owner.session.begun == [command]
    assert (lease.owner, lease.command) == (None, None)


async def test_a_command_stands_until_it_is_carried_out_and_is_cleared_at_once_then(owner: Owner) -> None:
    command = await owner.command()
    running = asyncio.create_task(owner.ownership.run())
    await until(lambda: bool(owner.session.begun))
    await owner.write({"updatedAt": datetime.now(UTC)})  # so that the lease is read again
    owner.ownership.poke()
    before = await owner.standing()
    await until_standing(owner, lambda lease: lease.lease_until > before.lease_until)
    assert ((await owner.standing()).command, owner.session.begun) == (command, [command])
    owner.session.may_end.set()
    await until_standing(owner, lambda lease: lease.command is None)
    await owner.stopped(running)


async def test_a_command_that_came_while_another_was_carried_out_is_the_next(owner: Owner) -> None:
    await owner.command()
    running = asyncio.create_task(owner.ownership.run())
    await until(lambda: bool(owner.session.begun))
    second = await owner.command()
    owner.session.may_end.set()
    await until(lambda: second in owner.session.begun)
    assert (await owner.stopped(running)).command is None
    assert len(owner.session.begun) == 2


async def test_a_command_that_failed_is_begun_again(owner: Owner) -> None:
    owner.session.may_end.set()
    owner.session.failures_left = 2
    command = await owner.command()
    running = asyncio.create_task(owner.ownership.run())
    await until_standing(owner, lambda lease: lease.command is None)
    assert owner.session.begun == [command] * 3
    await owner.stopped(running)


async def test_the_end_of_a_command_whose_place_another_has_taken_says_nothing_of_that_one(owner: Owner) -> None:
    first = await owner.command()
    running = asyncio.create_task(owner.ownership.run())
    await until(lambda: owner.session.begun == [first])
    second = await owner.command()
    await until(lambda: owner.session.begun == [first, second])
    owner.lease.on_write += [Fault.REFUSED] * 3  # the second has ended, and cannot be cleared yet
    await until(lambda: len(owner.lease.on_write) < 3)
    owner.session.may_end.set()
    await until_standing(owner, lambda lease: lease.command is None)
    await owner.stopped(running)


@pytest.mark.parametrize("ended", ["died", "handed over"])
async def test_a_command_whose_owner_did_not_come_to_its_end_is_left_to_the_next(owner: Owner, ended: str) -> None:
    command = await owner.command()
    running = asyncio.create_task(owner.ownership.run())
    await until(lambda: bool(owner.session.begun))
    if ended == "died":
        running.cancel()
        await asyncio.wait({running})
        lease = await owner.standing()
    else:
        lease = await owner.stopped(running)
    assert lease.command == command


async def test_an_account_is_given_back_though_its_lease_cannot_be_read_at_first(owner: Owner) -> None:
    await owner.write({"updatedAt": datetime.now(UTC)})  # a release under what is known of the lease is refused now
    owner.lease.on_read += [Fault.REFUSED, Fault.REFUSED]
    owner.ownership.stop()
    lease = await owner.stopped(asyncio.create_task(owner.ownership.run()))
    assert owner.lease.on_read == []
    assert lease.owner is None


async def test_a_renewal_whose_answer_was_lost_asks_for_no_session(owner: Owner) -> None:
    """A banned one would log in during its ban, and one that was replaced would throw the other out."""
    before = await owner.standing()
    owner.lease.on_write.append(Fault.ANSWER_LOST)
    running = asyncio.create_task(owner.ownership.run())
    await until_standing(owner, lambda lease: lease.lease_until > before.lease_until)
    lost = await owner.standing()
    await until_standing(owner, lambda lease: lease.lease_until > lost.lease_until)
    assert owner.session.tries == 0
    await owner.stopped(running)


@pytest.mark.parametrize("fault", list(Fault))
async def test_who_asks_for_the_session_is_heard_though_a_renewals_answer_was_lost(owner: Owner, fault: Fault) -> None:
    owner.lease.on_write.append(fault)
    running = asyncio.create_task(owner.ownership.run())
    await until(lambda: not owner.lease.on_write)
    await owner.write({"wanted": True, "updatedAt": datetime.now(UTC)})
    owner.ownership.poke()
    await until(lambda: owner.session.tries == 1)
    await owner.stopped(running)


async def test_a_pause_that_comes_while_an_account_is_handed_over_is_told(owner: Owner) -> None:
    """Nobody claims it then, so nobody else would."""
    await owner.write({"wanted": False, "updatedAt": datetime.now(UTC)})
    lease = await owner.stopped(asyncio.create_task(owner.ownership.run()))
    assert owner.session.left == [(None, "handed_over"), (Status.DISCONNECTED, "paused")]
    assert lease.owner is None


async def test_what_a_hand_over_waits_for_shares_one_deadline(owner: Owner) -> None:
    await owner.stopped(asyncio.create_task(owner.ownership.run()))
    (for_sends,), (for_events,) = owner.sends.drain_limits_s, owner.session.drain_limits_s
    assert for_sends == pytest.approx(TIMING.lease_renew_s * 5 / 8)
    assert for_events < for_sends / 2


async def test_an_owner_ends_at_its_deadline_whatever_it_waits_for(
    firestore_emulator: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its next renewal would come long after."""
    db, engine = AsyncClient(project="demo-lease-faults"), connect_engine(Path("no-such-engine.sock"), 0.1)
    owner = await claimed(db, engine, timing=replace(TIMING, lease_renew_s=PATIENCE_S * 2), ttl_s=2.0)
    await asyncio.wait_for(owner.ownership.run(), PATIENCE_S)
    assert "the lease was not renewed in time" in capsys.readouterr().out
    assert (await owner.standing()).owner == "w1", "it wrote nothing"
    await engine.channel.close(None)
