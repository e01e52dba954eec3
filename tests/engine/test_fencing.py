"""One owner, whatever freezes: from its term's end on an engine writes nothing and sends nothing, and a stale one never again."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked, link
from tests.engine.running import Account, Outcome, RunningEngine, State
from tests.engine.stores import PostgresStore
from tests.waiting import stays_so
from tests.whatsapp import WhatsAppServer

SHORT_S = 1.0
HELD_S = 1.0
"""How long PostgreSQL waits for the next statement of a transaction, where a test is about it."""
LONGER_THAN_ANY_FREEZE_MS = "60000"
FREEZES = 50


@dataclass(kw_only=True)
class Pair:
    """Two engines on one store, the first of which has an account linked."""

    server: WhatsAppServer
    store: PostgresStore
    first: RunningEngine
    second: RunningEngine
    linked: Linked
    freeze_file: Path

    def name_of(self, engine: RunningEngine) -> str:
        return "first" if engine is self.first else "second"

    def freeze_at(self, point: str) -> None:
        """The first engine freezes when it next passes the point."""
        self.freeze_file.write_text(point)


@contextlib.asynccontextmanager
async def _paired(server: WhatsAppServer, store: PostgresStore, folder: Path, held_ms: str) -> AsyncIterator[Pair]:
    freeze_file = folder / "freeze"
    environment = {**server.environment(), "WIRE_HELD_MS": held_ms}
    first = RunningEngine(
        store=store.address("first"), environment={**environment, "WIRE_FREEZE_FILE": str(freeze_file)}
    )
    second = RunningEngine(store=store.address("second"), environment=environment)
    async with first, second:
        linked = await link(server, first)
        await linked.ana.send(linked.phone, "before")  # whatever must be learnt of a contact is learnt
        await linked.account.until_message("before")
        assert (await linked.account.send(linked.ana_jid, "3EB000", "before")).outcome == Outcome.SENT
        await linked.device.caught_up()
        await store.audit()
        yield Pair(server=server, store=store, first=first, second=second, linked=linked, freeze_file=freeze_file)
        await linked.account.leave()
        await server.settle()


@pytest.fixture
async def pair(server: WhatsAppServer, store: PostgresStore, tmp_path: Path) -> AsyncIterator[Pair]:
    """A transaction of a frozen engine stays open: what refuses it is not PostgreSQL's patience."""
    async with _paired(server, store, tmp_path, LONGER_THAN_ANY_FREEZE_MS) as pair:
        yield pair


@pytest.fixture
async def impatient(server: WhatsAppServer, store: PostgresStore, tmp_path: Path) -> AsyncIterator[Pair]:
    async with _paired(server, store, tmp_path, f"{HELD_S * 1000:.0f}") as pair:
        yield pair


# The contract


async def test_the_engine_says_which_contract_it_speaks(engine: RunningEngine) -> None:
    assert (await engine.stub.Hello(pb.HelloRequest(contract=3))).contract == 3


async def test_a_term_without_an_end_is_refused(linked: Linked) -> None:
    with _refused(grpc.StatusCode.INVALID_ARGUMENT):
        await linked.account.stub.Open(pb.OpenRequest(session=linked.account.session))
    with _refused(grpc.StatusCode.INVALID_ARGUMENT):
        await linked.account.stub.Extend(pb.ExtendRequest(session=linked.account.session))


async def test_a_request_to_open_that_is_read_after_the_terms_end_claims_nothing(
    linked: Linked, engine: RunningEngine
) -> None:
    late = engine.account("shop", epoch=2)
    with _refused(grpc.StatusCode.FAILED_PRECONDITION):
        await late.claim(-0.001)
    assert (await linked.account.send(linked.ana_jid, "3EB0AA", "still here")).outcome == Outcome.SENT


async def test_only_an_owner_that_is_still_in_his_term_extends_it(linked: Linked, engine: RunningEngine) -> None:
    with _refused(grpc.StatusCode.NOT_FOUND):
        await engine.account("nobody").extend(SHORT_S)
    with _refused(grpc.StatusCode.NOT_FOUND):
        await engine.account("shop", epoch=2).extend(SHORT_S)
    owner = engine.account("shop", epoch=2)
    await owner.open(SHORT_S)
    with _refused(grpc.StatusCode.FAILED_PRECONDITION):
        await linked.account.extend(SHORT_S)
    await owner.term_over()
    with _refused(grpc.StatusCode.NOT_FOUND):
        await owner.extend(60)


async def test_a_term_that_is_extended_goes_on_and_an_earlier_end_changes_nothing(
    linked: Linked, engine: RunningEngine
) -> None:
    owner = engine.account("shop", epoch=2)
    await owner.open(SHORT_S)
    await owner.extend(60)
    await owner.stub.Extend(pb.ExtendRequest(session=owner.session, term_ends_ms=1))
    await stays_so(lambda: not owner.stream_ended, "the session is open", SHORT_S + 0.3)
    await owner.connected()
    assert (await owner.send(linked.ana_jid, "3EB0AA", "still here")).outcome == Outcome.SENT
    await owner.leave()


# The end of a term


async def test_a_session_whose_term_ends_closes_itself_and_can_be_opened_again_under_its_epoch(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    owner = engine.account("shop", epoch=2)
    await owner.open(SHORT_S)
    await owner.connected()
    await owner.ended()
    assert owner.states[-1] == "CONNECTED", "who does not hold the account any more is told nothing of it"
    await server.until(lambda: not linked.device.is_connected, what="the connection's end")
    with _refused(grpc.StatusCode.NOT_FOUND):
        await owner.send(linked.ana_jid, "3EB0AA", "too late")
    with _refused(grpc.StatusCode.NOT_FOUND):
        await owner.acknowledge(0)
    await linked.ana.send(linked.phone, "meanwhile")
    await owner.open()
    await owner.until_message("meanwhile")
    assert (await owner.send(linked.ana_jid, "3EB0BB", "here again")).outcome == Outcome.SENT
    assert [shown.text for shown in linked.ana.inbox] == ["here again"]
    await owner.leave()


@pytest.mark.parametrize("point", ["frame.write", "store.begin", "store.write", "store.commit"])
async def test_no_frame_leaves_and_no_row_is_written_when_a_freeze_outlasts_the_term(pair: Pair, point: str) -> None:
    """Nobody else has claimed the account: only the clock says that it is over."""
    linked, owner = pair.linked, await _short_term(pair)
    pair.server.keep_stanzas()
    sends = asyncio.create_task(_sent(owner, linked.ana_jid, "3EB0AA"))
    if point == "frame.write":
        pair.freeze_at(point)
    else:
        await sends
        pair.freeze_at(point)
        await linked.ana.send(linked.phone, "not taken")
    await pair.first.frozen()
    await owner.term_over()
    stood = await _rows(pair.store)
    frames, stanzas = len(pair.server.frames()), _from_clients(pair.server)
    pair.first.thaw()
    await owner.ended()
    await stays_so(lambda: len(pair.server.frames()) == frames, "no message leaves", 0.5)
    assert _from_clients(pair.server) == stanzas, "nothing is acknowledged or asked for"
    assert await _rows(pair.store) == stood, "no row is written"
    assert owner.texts() == []
    if point == "frame.write":
        assert await sends != Outcome.SENT
    again = pair.first.account("shop", epoch=2)
    await again.open()
    await again.connected()
    await linked.ana.send(linked.phone, "afterwards")
    await again.until_message("afterwards")
    assert [text for text in again.texts() if text == "not taken"] == ["not taken"] * (point != "frame.write")
    assert (await again.send(linked.ana_jid, "3EB0AA", "sent")).outcome == Outcome.SENT
    assert [shown.id for shown in linked.ana.inbox] == ["3EB000", "3EB0AA"]
    await again.leave()


@pytest.mark.parametrize("point", ["inbox.saved", "event.next"])
async def test_an_event_that_stands_is_not_told_after_the_term(pair: Pair, point: str) -> None:
    owner = await _short_term(pair)
    pair.freeze_at(point)
    await pair.linked.ana.send(pair.linked.phone, "stands")
    await pair.first.frozen()
    await owner.term_over()
    pair.first.thaw()
    await owner.ended()
    assert owner.texts() == []
    again = pair.first.account("shop", epoch=2)
    await again.open()
    await again.until_message("stands")
    await again.connected()
    await again.leave()


# Another owner


async def test_who_claims_the_account_of_an_owner_frozen_in_a_transaction_does_not_wait_for_long(
    impatient: Pair,
) -> None:
    linked = impatient.linked
    impatient.freeze_at("store.held")
    await linked.ana.send(linked.phone, "in between")
    await impatient.first.frozen()
    successor = impatient.second.account("shop", epoch=2)
    began = time.monotonic()
    await successor.open()
    assert time.monotonic() - began < HELD_S + 2.0
    await successor.until_message("in between")
    impatient.first.thaw()
    await linked.account.until(lambda: "REPLACED" in linked.account.states, "the former owner to notice")
    await _talks(impatient, successor)
    assert await impatient.store.written_by("first", since_epoch=2) == []
    await successor.leave()


async def test_a_stale_owner_writes_no_row_and_sends_nothing_however_long_his_own_clock_gives_him(pair: Pair) -> None:
    """His connection stands: the new owner is not let in yet."""
    linked, former = pair.linked, pair.linked.account
    kept_out = pair.server.faults.refuse_connections()
    successor = pair.second.account("shop", epoch=2)
    await successor.open()
    frames = len(pair.server.frames())
    ended = await former.send(linked.ana_jid, "3EB0AA", "of nobody")
    assert ended.outcome in (Outcome.NOT_SENT, Outcome.NOT_CONNECTED)
    await linked.ana.send(linked.phone, "for the new owner")
    await former.until_state(State.REPLACED)
    assert former.changes[-1].reason == "taken_over"
    with _refused(grpc.StatusCode.FAILED_PRECONDITION):
        await former.acknowledge(0)
    kept_out.end()
    await successor.until_message("for the new owner", 40)
    assert former.texts() == ["before"]
    assert len(pair.server.frames()) == frames
    assert await pair.store.written_by("first", since_epoch=2) == []
    await _talks(pair, successor)
    await successor.leave()


@pytest.mark.timeout(300)
async def test_every_session_decrypts_after_fifty_freezes_back_and_forth(impatient: Pair) -> None:
    """Each owner is frozen in the middle of a conversation, and wakes up in the middle of his successor's."""
    chance = random.Random(1)
    linked, written = impatient.linked, list[str]()
    owner = impatient.first.account("shop", epoch=2)
    told = [linked.account, owner]
    for freeze in range(FREEZES):
        epoch = owner.session.epoch + 1
        following = impatient.second if owner.engine is impatient.first else impatient.first
        await owner.open(SHORT_S)
        async with _conversation(linked, owner, f"{freeze}", written):
            await asyncio.sleep(chance.uniform(0.1, 0.6))
            await owner.engine.freeze()
            await owner.term_over()
            successor = following.account("shop", epoch=epoch)
            await successor.open()
            told.append(successor)
            await successor.connected()
            owner.engine.thaw()
            await owner.ended()
            await _talks(impatient, successor, f"after {freeze}")
            assert await impatient.store.written_by(impatient.name_of(owner.engine), since_epoch=epoch) == []
            await owner.leave()
        await successor.close()  # a term is never made shorter: the one that the next freeze outlasts is another
        owner = successor
    await owner.open()
    await impatient.linked.device.caught_up()
    await owner.until(
        lambda: set(written) <= {text for account in told for text in account.texts()}, "all that was written"
    )
    assert impatient.server.overtaken == [], "no two sockets from which a frame is taken"
    assert [frame.id for frame in impatient.server.frames() if not frame.decryptable] == []
    assert not any('"undecryptable"' in line for line in impatient.first.log + impatient.second.log)
    await owner.leave()


# What the tests are made of


@contextlib.contextmanager
def _refused(status: grpc.StatusCode) -> Iterator[None]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        yield
    assert refused.value.code() is status


async def _short_term(pair: Pair) -> Account:
    """A term of the first engine's that ends soon."""
    owner = pair.first.account("shop", epoch=2)
    await owner.open(SHORT_S)
    await owner.connected()
    await pair.linked.device.ready()
    await owner.extend(SHORT_S)
    return owner


async def _sent(account: Account, chat: str, whatsapp_id: str) -> "pb.SendResponse.Outcome.ValueType":
    """The send's outcome; OUTCOME_UNSPECIFIED where the call was refused."""
    try:
        return (await account.send(chat, whatsapp_id, "hello")).outcome
    except grpc.aio.AioRpcError:
        return Outcome.OUTCOME_UNSPECIFIED


async def _rows(store: PostgresStore) -> str:
    """All that was ever written is in the audit."""
    return await store.query("SELECT count(*) FROM audit")


def _from_clients(server: WhatsAppServer) -> int:
    return sum(stanza.is_from_client for stanza in server.stanzas)


async def _talks(pair: Pair, owner: Account, what: str = "after") -> None:
    """Messages pass both ways."""
    await owner.connected()
    await pair.linked.ana.send(pair.linked.phone, f"{what}, in")
    await owner.until_message(f"{what}, in")
    assert (
        await owner.send(pair.linked.ana_jid, f"3EB0{owner.session.epoch:04X}{what.encode().hex()}", what)
    ).outcome == (Outcome.SENT)
    assert pair.linked.ana.inbox[-1].text == what


@contextlib.asynccontextmanager
async def _conversation(linked: Linked, owner: Account, name: str, written: list[str]) -> AsyncIterator[None]:
    """A contact and an owner write to each other until the block ends, or the owner's time does."""

    async def contact_writes() -> None:
        for number in range(1_000_000):
            text = f"{name}-{number}"
            await linked.ana.send(linked.phone, text)
            written.append(text)
            await asyncio.sleep(0.03)

    async def owner_writes() -> None:
        number = 0
        while not owner.stream_ended:
            number += 1
            await _sent(owner, linked.ana_jid, f"3EB0{owner.session.epoch:04X}{number:08X}")
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(contact_writes()), asyncio.create_task(owner_writes())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
