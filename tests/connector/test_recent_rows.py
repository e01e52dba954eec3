"""An event that comes again costs no write, delays nobody else, and is not taken for one that was never written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import AsyncClient, AsyncWriteBatch

from connector import wal as wal_module
from connector.arrival import ArrivalOrder
from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from connector.events import WalRow, wal_rows
from connector.recent_rows import RecentRows
from connector.store import commit
from connector.term import Term
from connector.wal import Wal
from core import schema
from core.ids import AccountId, WorkerId

CALL_S = 10.0
SOON_S = 30.0
NOW = datetime(2026, 12, 1, tzinfo=UTC)
CHAT = "40712345678@s.whatsapp.net"


@dataclass(kw_only=True)
class Ledger:
    """The log of one process over the emulator. `commits` has the number of rows of each commit that was tried."""

    db: AsyncClient
    wal: Wal
    commits: list[int] = field(default_factory=list)
    orders: dict[str, ArrivalOrder] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    """What the next commits end with, although they are carried out."""

    def submit(self, account: str, event: pb.Event) -> "asyncio.Future[None]":
        return self.wal.submit(self.term(account), self.rows(account, event))

    def rows(self, account: str, event: pb.Event) -> Sequence[WalRow]:
        order = self.orders.setdefault(account, ArrivalOrder(last_received_at=NOW))
        return wal_rows(AccountId(account), event, order, NOW)

    def term(self, account: str) -> Term:
        return Term(account=AccountId(account), worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)

    async def stands(self) -> dict[str, dict[str, Any]]:
        return {found.id: found.to_dict() or {} async for found in self.db.collection(schema.INGEST).stream()}

    async def commit(self, batch: AsyncWriteBatch, timeout_s: float) -> object:
        self.commits.append(len(batch))
        answer = await commit(batch, timeout_s)
        if self.failures:
            raise self.failures.pop(0)
        return answer


@pytest.fixture
async def ledger(
    firestore_emulator: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Ledger]:
    db = AsyncClient(project=f"demo-recent-{abs(hash(request.node.name)) % 10**9}")
    started = Ledger(db=db, wal=Wal(db, CALL_S))
    monkeypatch.setattr(wal_module, "commit", started.commit)
    running = asyncio.create_task(started.wal.run())
    yield started
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    db.close()


def receipt(whatsapp_id: str = "3EB0AA", *, second: int = 1, kind: Any = pb.ReceiptReceived.DELIVERED) -> pb.Event:
    """Each device of a contact sends its own, with its own time and stanza."""
    received = pb.ReceiptReceived(
        whatsapp_ids=[whatsapp_id], chat_jid=CHAT, type=kind, timestamp_s=1_700_000_000 + second
    )
    return pb.Event(sequence=second, receipt=received, wire=f"device {second}".encode())


def text(words: str, whatsapp_id: str = "A1", sequence: int = 1) -> pb.Event:
    message = pb.MessageReceived(whatsapp_id=whatsapp_id, chat_jid=CHAT, timestamp_s=1_700_000_000, text=words)
    return pb.Event(sequence=sequence, message=message, wire=words.encode())


async def all_of(*written: "asyncio.Future[None]") -> None:
    await asyncio.wait_for(asyncio.gather(*written), SOON_S)


async def test_the_receipts_of_a_contacts_three_devices_cost_one_row_and_one_commit(ledger: Ledger) -> None:
    """While other accounts' messages are written with them."""
    others = [ledger.submit(f"other-{number}", text("hello")) for number in range(20)]
    devices = [ledger.submit("shop", receipt(second=second)) for second in (1, 2, 3)]
    await all_of(*others, *devices)
    assert ledger.commits == [21]


async def test_a_receipt_that_comes_again_later_costs_no_commit(ledger: Ledger) -> None:
    await all_of(ledger.submit("shop", receipt(second=1)))
    await all_of(ledger.submit("shop", receipt(second=2)), ledger.submit("shop", receipt(second=3)))
    assert ledger.commits == [1]
    await all_of(ledger.submit("shop", receipt(second=4, kind=pb.ReceiptReceived.READ)))
    assert ledger.commits == [1, 1], "a receipt of another kind is a row of its own"


async def test_a_row_that_another_process_has_written_costs_one_more_commit_and_not_one_a_row(ledger: Ledger) -> None:
    """Of all accounts whose rows are in the commit."""
    former = Wal(ledger.db, CALL_S)
    writing = asyncio.create_task(former.run())
    for number in range(3):
        await former.submit(ledger.term(f"shop-{number}"), ledger.rows(f"shop-{number}", receipt()))
    writing.cancel()
    ledger.commits.clear()

    again = [ledger.submit(f"shop-{number}", receipt(second=2)) for number in range(3)]
    others = [ledger.submit(f"other-{number}", text("hello")) for number in range(20)]
    await all_of(*again, *others)
    assert ledger.commits == [23, 20]
    assert len(await ledger.stands()) == 23


async def test_a_commit_whose_answer_is_lost_is_not_repeated_row_by_row(ledger: Ledger) -> None:
    ledger.failures.append(ServiceUnavailable("the answer is lost"))
    await all_of(*(ledger.submit(f"shop-{number}", text("hello")) for number in range(20)))
    assert ledger.commits == [20, 20]
    assert len(await ledger.stands()) == 20


async def test_a_row_is_not_taken_for_written_before_its_commit_has_succeeded(ledger: Ledger) -> None:
    """Three equal receipts, and Firestore refuses the first commit."""
    refused = asyncio.Event()

    async def refuse(_batch: AsyncWriteBatch, _timeout_s: float) -> object:
        refused.set()
        raise ServiceUnavailable("not carried out")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wal_module, "commit", refuse)
        devices = [ledger.submit("shop", receipt(second=second)) for second in (1, 2)]
        await asyncio.wait_for(refused.wait(), SOON_S)
        devices.append(ledger.submit("shop", receipt(second=3)))
        assert not any(device.done() for device in devices)
    await all_of(*devices)
    assert len(await ledger.stands()) == 1


async def test_another_text_under_the_same_id_is_not_taken_for_the_one_that_stands(ledger: Ledger) -> None:
    (first,), (second,) = ledger.rows("shop", text("one")), ledger.rows("shop", text("two"))
    assert first.event_id == second.event_id
    known = RecentRows()
    known.add([first])
    assert first in known
    assert replace(first, received_at=NOW) in known
    assert second not in known


def test_the_oldest_rows_are_forgotten() -> None:
    order, known = ArrivalOrder(last_received_at=NOW), RecentRows(limit=100)
    made = [wal_rows(AccountId("shop"), text("hello", f"A{number}", number), order, NOW)[0] for number in range(1, 251)]
    known.add(made)
    assert [row in known for row in made] == [False] * 150 + [True] * 100


async def test_rows_of_one_account_become_written_in_their_order_also_where_one_stands_already(ledger: Ledger) -> None:
    """The one that stands needs no commit; it waits for those before it all the same."""
    await all_of(ledger.submit("shop", receipt()))
    done: list[str] = []
    first = ledger.submit("shop", text("hello"))
    again = ledger.submit("shop", receipt(second=2))
    first.add_done_callback(lambda _: done.append("first"))
    again.add_done_callback(lambda _: done.append("again"))
    await all_of(first, again)
    assert done == ["first", "again"]
