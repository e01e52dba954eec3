"""The memory of events that wait for Firestore is bounded for all accounts together, and shared fairly."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient

from connector.arrival import ArrivalOrder
from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from connector.engine import Engine, connect_engine
from connector.event_budget import AccountShare, EventBudget, memory_bytes
from connector.events import WalRow, wal_rows
from connector.intake import Intake, Progress
from connector.term import Term
from connector.wal import Wal
from core import schema
from core.ids import AccountId, WorkerId
from local import ports
from local.ports import HOST
from tests.connector.offering_engine import OfferingEngine

KIB, MIB = 1024, 1024 * 1024
CALL_S = 10.0
SOON_S = 60.0
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def fill(share: AccountShare, size: int) -> None:
    """As an account does that always has another event."""
    while share.has_room():
        share.add(size)


def test_an_account_alone_gets_half_of_the_budget() -> None:
    share = EventBudget(total_bytes=1000 * KIB).share()
    fill(share, KIB)
    assert 500 * KIB <= share.held_bytes <= 501 * KIB


@pytest.mark.parametrize("accounts", [2, 10, 500])
def test_accounts_that_take_in_turn_get_the_same_and_stay_inside_the_budget(accounts: int) -> None:
    budget = EventBudget(total_bytes=10_000 * KIB)
    shares = [budget.share() for _ in range(accounts)]
    while any(share.has_room() for share in shares):
        for share in shares:
            if share.has_room():
                share.add(KIB)
    assert budget.held_bytes <= budget.total_bytes
    fair = budget.total_bytes / (accounts + 1)
    assert all(fair - KIB <= share.held_bytes <= fair + KIB for share in shares)


def test_an_account_that_holds_nothing_takes_an_event_whatever_the_others_hold() -> None:
    budget = EventBudget(total_bytes=10 * KIB)
    large, small = budget.share(), budget.share()
    large.add(50 * KIB)
    assert not large.has_room()
    assert small.has_room()
    small.add(1)
    assert not small.has_room()


async def test_an_account_that_waits_goes_on_when_another_one_is_done() -> None:
    budget = EventBudget(total_bytes=10 * KIB)
    large, small = budget.share(), budget.share()
    large.add(10 * KIB)
    small.add(KIB)
    waiting = asyncio.create_task(small.wait_for_room())
    await asyncio.sleep(0)
    assert budget.accounts_waiting == 1
    large.remove(8 * KIB)
    await asyncio.wait_for(waiting, SOON_S)
    assert budget.accounts_waiting == 0


async def test_an_account_whose_stream_is_over_waits_no_more_and_leaves_nothing_behind() -> None:
    budget = EventBudget(total_bytes=KIB)
    share = budget.share()
    share.add(2 * KIB)
    waiting = asyncio.create_task(share.wait_for_room())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert budget.accounts_waiting == 0


def rows(account: AccountId, event: pb.Event) -> Sequence[WalRow]:
    return wal_rows(account, event, ArrivalOrder(last_received_at=NOW), NOW)


def message(text: str, sequence: int = 1) -> pb.Event:
    received = pb.MessageReceived(
        whatsapp_id=f"A{sequence}", chat_jid="40712345678@s.whatsapp.net", timestamp_s=1_700_000_000, text=text
    )
    return pb.Event(sequence=sequence, message=received, wire=text.encode())


@pytest.mark.parametrize("text", ["x", "é", "한", "😀", "x" * 16_383 + "😀"])
def test_a_text_counts_with_the_memory_that_it_takes_and_not_with_its_bytes_on_the_wire(text: str) -> None:
    """Python keeps four bytes a character of a text with one emoji."""
    whole = (text * 16_384)[:16_384]
    taken = memory_bytes(rows(AccountId("shop"), message(whole)))
    widest = max(ord(character) for character in whole)
    a_character = 1 if widest < 0x100 else 2 if widest < 0x10000 else 4
    assert taken >= 16_384 * a_character + len(whole.encode())


def test_the_wire_bytes_that_the_rows_of_a_receipt_share_count_once() -> None:
    receipt = pb.ReceiptReceived(
        whatsapp_ids=[f"3EB0{number:018X}" for number in range(100)],
        chat_jid="40712345678@s.whatsapp.net",
        type=pb.ReceiptReceived.READ,
        timestamp_s=1_700_000_000,
    )
    taken = memory_bytes(rows(AccountId("shop"), pb.Event(sequence=1, receipt=receipt, wire=bytes(MIB))))
    assert MIB < taken < 2 * MIB


@dataclass(kw_only=True)
class FirestoreDoor:
    """A port that leads to the emulator only while it is open."""

    port: int
    emulator: str
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, HOST, self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.emulator.rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_hand_on(reader, there_writer), _hand_on(there_reader, writer))


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def door(firestore_emulator: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FirestoreDoor]:
    closed = FirestoreDoor(port=ports.free_port(), emulator=firestore_emulator)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"{HOST}:{closed.port}")
    yield closed
    await closed.close()


@asynccontextmanager
async def served(offering: OfferingEngine, folder: Path) -> AsyncIterator[Engine]:
    server, socket = grpc.aio.server(), folder / "sock"
    server.add_generic_rpc_handlers((offering.handler(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    engine = connect_engine(socket, CALL_S)
    yield engine
    await engine.channel.close(None)
    await server.stop(0)


@asynccontextmanager
async def taking(
    offering: OfferingEngine, wal: Wal, accounts: Sequence[AccountId], folder: Path
) -> AsyncIterator[None]:
    """Each account's events are read, written and acknowledged meanwhile."""

    async def take(engine: Engine, account: AccountId) -> None:
        term = Term(account=account, worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)
        order = ArrivalOrder(last_received_at=NOW)
        intake = Intake(term=term, engine=engine, wal=wal, order=order, progress=Progress(), share=wal.memory.share())
        acknowledging = asyncio.create_task(intake.acknowledge())
        try:
            async for event in engine.events(term):
                await intake.take(event)
            await intake.drained()
        finally:
            acknowledging.cancel()
            intake.withdraw()

    async with served(offering, folder) as engine:
        works = [wal.run(), *(take(engine, account) for account in accounts)]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Looks again and again."""
    try:
        async with asyncio.timeout(SOON_S):
            while not is_so():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {SOON_S:.0f} s in vain: {what}") from None


ACCOUNTS = [AccountId(f"many-{number}") for number in range(8)]
MESSAGES, TEXT_BYTES = 25, 64 * KIB
BUDGET = 2 * MIB
BESIDE = 512 * KIB
"""An account may hold beside the budget: the event that went beyond it, the one that is being read, and the stream's window, 64 KiB."""


async def test_an_outage_of_firestore_holds_no_more_in_memory_than_the_budget_and_loses_nothing(
    door: FirestoreDoor, tmp_path: Path
) -> None:
    """Each of eight accounts has 25 messages, 128 KiB each with their wire bytes: 25 MiB together."""
    db = AsyncClient(project="demo-outage")
    wal = Wal(db, CALL_S, BUDGET)
    offering = OfferingEngine(messages=MESSAGES, text_bytes=TEXT_BYTES)
    async with taking(offering, wal, ACCOUNTS, tmp_path):
        await until(lambda: wal.memory.accounts_waiting == len(ACCOUNTS), "every account is held back")
        assert min(offering.handed[account] for account in ACCOUNTS) >= 1
        await door.open()
        await until(
            lambda: all(offering.acknowledged[account] == MESSAGES for account in ACCOUNTS), "all is acknowledged"
        )
    assert offering.most_outstanding_bytes <= BUDGET + len(ACCOUNTS) * BESIDE
    assert wal.memory.held_bytes == 0
    found = [snapshot.to_dict() or {} async for snapshot in db.collection(schema.INGEST).stream()]
    for account in ACCOUNTS:
        own = sorted((row for row in found if row["accountId"] == account), key=lambda row: row["receivedAt"])
        assert [row["payload"]["whatsappId"] for row in own] == [f"A{number}" for number in range(1, MESSAGES + 1)]
    db.close()


async def test_a_stream_that_nobody_reads_takes_its_window_and_no_more(tmp_path: Path) -> None:
    """gRPC widens the windows of all streams when one of them is read fast."""

    def term(account: str) -> Term:
        return Term(account=AccountId(account), worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)

    async def read_all(account: str) -> None:
        async for _ in engine.events(term(account)):
            pass

    offering = OfferingEngine(messages=500, text_bytes=TEXT_BYTES)
    idle = [f"idle-{number}" for number in range(10)]
    async with served(offering, tmp_path) as engine:
        await read_all("fast")
        streams = [engine.events(term(account)) for account in idle]
        for stream in streams:
            await anext(stream)
        await read_all("fast, too")
        assert max(offering.handed[account] for account in idle) <= 2
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]


async def test_an_account_with_thousands_of_rows_does_not_make_another_ones_row_wait_for_them(
    firestore_emulator: str,
) -> None:
    db = AsyncClient(project="demo-fair")
    wal = Wal(db, CALL_S)
    large, small = (
        Term(account=AccountId(name), worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)
        for name in ("large", "small")
    )
    many = [wal.submit(large, rows(large.account, message("m", number))) for number in range(2000)]
    one = wal.submit(small, rows(small.account, message("m")))
    running = asyncio.create_task(wal.run())
    await asyncio.wait_for(one, SOON_S)
    assert sum(written.done() for written in many) <= 400, "the small account's row waited for more than one commit"
    await asyncio.wait_for(asyncio.gather(*many), SOON_S)
    running.cancel()
    db.close()


async def test_accounts_with_long_messages_take_turns_where_a_commit_has_no_room_for_all(
    firestore_emulator: str,
) -> None:
    """Six such rows fit into a commit."""
    db = AsyncClient(project="demo-turns")
    wal = Wal(db, CALL_S)
    long = "x" * 300 * KIB
    terms = [
        Term(account=AccountId(f"turn-{number:02}"), worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)
        for number in range(14)
    ]
    written = [
        [wal.submit(term, rows(term.account, message(long, number))) for number in range(1, 4)] for term in terms
    ]
    running = asyncio.create_task(wal.run())
    await asyncio.wait_for(written[-1][0], SOON_S)
    assert max(sum(row.done() for row in of_account) for of_account in written) <= 2
    await asyncio.wait_for(asyncio.gather(*(row for of_account in written for row in of_account)), SOON_S)
    running.cancel()
    db.close()


async def test_what_is_withdrawn_while_firestore_is_away_does_not_stay_in_memory() -> None:
    """A stream that breaks again and again hands the same events over each time."""
    db = AsyncClient(project="demo-withdrawn", credentials=AnonymousCredentials())
    wal = Wal(db, CALL_S)
    term = Term(account=AccountId("shop"), worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)
    (row,) = rows(term.account, message("again"))
    kept = weakref.ref(row)
    wal.submit(term, [row]).cancel()
    del row
    await asyncio.sleep(0)
    assert kept() is None
    db.close()
