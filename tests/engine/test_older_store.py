"""An older session store in the newer one's place: what it does to a conversation, and how it is detected and mended."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.engine.running import PATIENCE_S, TERM_S, Account, Outcome, RunningEngine, State
from tests.whatsapp import Device, WhatsAppServer

LOGGED_OUT = State.LOGGED_OUT


def _copy(store: Path, to: Path) -> None:
    """A consistent copy of a store that is in use, as a disk's snapshot would be."""
    with contextlib.closing(sqlite3.connect(store)) as source, contextlib.closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _put_back(copy: Path, store: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{store}{suffix}").unlink(missing_ok=True)
    _copy(copy, store)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
async def engine(server: WhatsAppServer, store: Path) -> AsyncIterator[RunningEngine]:
    async with RunningEngine(store=f"sqlite:{store}", environment=server.environment()) as engine:
        yield engine


async def _opened(engine: RunningEngine, *, epoch: int, mark: int) -> tuple[Account, pb.OpenResponse]:
    account = engine.account("shop", epoch=epoch)
    request = pb.OpenRequest(session=account.session, term_ends_ms=int((now_s() + TERM_S) * 1000), store_mark=mark)
    opened: pb.OpenResponse = await engine.stub.Open(request, timeout=PATIENCE_S)
    await account.follow()
    return account, opened


async def _talk(server: WhatsAppServer, linked: Linked, account: Account, device: Device, what: str) -> None:
    await linked.ana.send(linked.phone, f"{what}, in")
    await account.until_message(f"{what}, in")
    sent = await account.send(linked.ana_jid, f"3EB0{what.encode().hex().upper()}", f"{what}, out")
    assert sent.outcome == Outcome.SENT
    await device.caught_up()
    await server.until(lambda: linked.ana.inbox and linked.ana.inbox[-1].text == f"{what}, out", what="it to be shown")


async def _mark(account: Account) -> int:
    return int((await account.stub.Close(pb.CloseRequest(session=account.session), timeout=PATIENCE_S)).store_mark)


async def test_the_mark_grows_with_each_event_and_each_send(server: WhatsAppServer, linked: Linked) -> None:
    seen = [(await linked.account.claim()).store_mark]
    await linked.ana.send(linked.phone, "in")
    await linked.account.until_message("in")
    seen.append((await linked.account.claim()).store_mark)
    seen.append((await linked.account.send(linked.ana_jid, "3EB001", "out")).store_mark)
    await server.until(lambda: linked.ana.inbox, what="it to be shown")
    seen.append(await _mark(linked.account))
    assert seen == sorted(seen)
    assert len(set(seen[:3])) == 3


async def test_undetected_an_older_store_sends_what_nobody_can_read(
    server: WhatsAppServer, engine: RunningEngine, linked: Linked, store: Path, tmp_path: Path
) -> None:
    """What the mark is for: without it (0, as an older connector says) the engine opens whatever it finds."""
    await _talk(server, linked, linked.account, linked.device, "one")
    _copy(store, tmp_path / "older.db")
    assert (await linked.account.send(linked.ana_jid, "3EB0FE", "two, out")).outcome == Outcome.SENT
    assert await engine.stop() == 0
    _put_back(tmp_path / "older.db", store)
    await engine.start()
    account, opened = await _opened(engine, epoch=2, mark=0)
    assert opened.paired
    await account.connected()
    await account.send(linked.ana_jid, "3EB0FF", "with a key that was used")
    server.forgive("undecryptable")
    assert [frame.id for frame in server.frames() if not frame.decryptable] == ["3EB0FF"]
    await account.leave()


async def test_an_older_store_is_not_used_and_pairing_again_mends_it(
    server: WhatsAppServer, engine: RunningEngine, linked: Linked, store: Path, tmp_path: Path
) -> None:
    await _talk(server, linked, linked.account, linked.device, "one")
    _copy(store, tmp_path / "older.db")
    await _talk(server, linked, linked.account, linked.device, "two")
    mark = await _mark(linked.account)
    assert await engine.stop() == 0
    _put_back(tmp_path / "older.db", store)
    await engine.start()
    logins = linked.device.logins
    account, opened = await _opened(engine, epoch=2, mark=mark)
    assert not opened.paired
    assert opened.store_mark >= mark, "it is told of once"
    assert (await account.until_state(LOGGED_OUT)).reason == "store_behind"
    assert (await account.send(linked.ana_jid, "3EB0EE", "no")).outcome == Outcome.NOT_CONNECTED

    await engine.kill()  # whoever opens it next is told, too
    await engine.start()
    account, opened = await _opened(engine, epoch=3, mark=opened.store_mark)
    assert (await account.until_state(LOGGED_OUT)).reason == "store_behind"
    assert linked.device.logins == logins, "it did not connect"

    await linked.phone.unlink(linked.device)
    code = await account.pair()
    device = await linked.phone.scan(code.qr)
    await account.connected()
    await device.ready()
    for what in ("three", "four"):
        await _talk(server, linked, account, device, what)
    mark = await _mark(account)
    await account.leave()
    account, opened = await _opened(engine, epoch=4, mark=mark)
    assert opened.paired
    await account.connected()
    await _talk(server, linked, account, device, "five")
    assert [frame.id for frame in server.frames() if not frame.decryptable] == []
    assert not any('"undecryptable"' in line for line in engine.log)
    await account.leave()


async def test_a_store_that_is_as_far_as_is_known_goes_on(
    server: WhatsAppServer, engine: RunningEngine, linked: Linked, store: Path, tmp_path: Path
) -> None:
    await _talk(server, linked, linked.account, linked.device, "one")
    mark = await _mark(linked.account)
    assert await engine.stop() == 0
    _copy(store, tmp_path / "same.db")
    _put_back(tmp_path / "same.db", store)
    await engine.start()
    account, opened = await _opened(engine, epoch=2, mark=mark)
    assert opened.paired
    await account.connected()
    await linked.device.ready()
    await _talk(server, linked, account, linked.device, "two")
    assert [frame.id for frame in server.frames() if not frame.decryptable] == []
    await account.leave()


async def test_of_an_older_store_the_claim_that_a_kill_cut_off_does_not_hide_it(
    server: WhatsAppServer, engine: RunningEngine, linked: Linked, store: Path, tmp_path: Path
) -> None:
    """An epoch far ahead raises the mark itself."""
    _copy(store, tmp_path / "older.db")
    await _talk(server, linked, linked.account, linked.device, "one")
    mark = await _mark(linked.account)
    assert await engine.stop() == 0
    _put_back(tmp_path / "older.db", store)
    await engine.start(WIRE_DIE_AT="store.held:2")
    with contextlib.suppress(Exception):
        await _opened(engine, epoch=1000, mark=mark)
    await engine.kill()
    await engine.start()
    account, opened = await _opened(engine, epoch=1001, mark=mark)
    assert not opened.paired
    assert (await account.until_state(LOGGED_OUT)).reason == "store_behind"
    await account.leave()


async def test_a_send_of_which_nothing_was_heard_counts(
    server: WhatsAppServer, engine: RunningEngine, linked: Linked, store: Path, tmp_path: Path
) -> None:
    server.faults.hold_receipts(linked.ana)  # those of the first message, too, may come late
    await _talk(server, linked, linked.account, linked.device, "one")
    _copy(store, tmp_path / "older.db")
    events = len(linked.account.events)
    assert (await linked.account.send(linked.ana_jid, "3EB0FE", "two, out")).outcome == Outcome.SENT
    mark = await _mark(linked.account)
    assert not any(event.sequence for event in linked.account.events[events:]), "no event has raised the mark"
    assert await engine.stop() == 0
    _put_back(tmp_path / "older.db", store)
    await engine.start()
    account, opened = await _opened(engine, epoch=2, mark=mark)
    assert not opened.paired
    await account.leave()
    server.faults.clear()
