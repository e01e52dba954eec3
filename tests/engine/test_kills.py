"""SIGKILL at each moment in the life of an event and of a send: nothing is lost, nothing is shown twice."""

import contextlib
from pathlib import Path

import grpc
import pytest

from tests.engine.conftest import Linked
from tests.engine.running import Account, Outcome, RunningEngine, locked
from tests.waiting import stays_so
from tests.whatsapp import WhatsAppServer

INBOUND = ["inbox.entry", "inbox.saved", "event.handed", "ack.before", "ack.after"]
OUTBOUND = ["send.frame", "send.acked"]


@pytest.mark.parametrize("point", INBOUND)
async def test_a_message_survives_a_kill(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, point: str
) -> None:
    await engine.kill()
    await engine.start(WIRE_DIE_AT=f"{point}:1")
    before = engine.account("shop")
    await _open_if_it_lives(before)
    await linked.ana.send(linked.phone, "hello")
    await engine.gone()
    await before.leave()
    await engine.start()
    after = engine.account("shop")
    await after.open()
    await linked.device.caught_up()
    if "hello" not in before.texts():  # else the connector has it already
        await after.until_message("hello")
    assert (after.texts() + before.texts()).count("hello") <= 2, "the same message may come again, under its id"


@pytest.mark.parametrize("point", INBOUND)
async def test_a_receipt_survives_a_kill(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, point: str
) -> None:
    await engine.kill()
    await engine.start(WIRE_DIE_AT=f"{point}:1")
    before = engine.account("shop")
    await _open_if_it_lives(before)
    linked.ana.receipt(linked.phone, ["3EB0AA"], "read")
    await engine.gone()
    await before.leave()
    await engine.start()
    after = engine.account("shop")
    await after.open()
    await linked.device.caught_up()
    if not before.receipts:
        await after.until(lambda: after.receipts, "the receipt")


@pytest.mark.parametrize("point", OUTBOUND)
async def test_a_send_that_was_cut_off_is_shown_once_when_it_is_sent_again(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, point: str
) -> None:
    await engine.kill()
    await engine.start(WIRE_DIE_AT=f"{point}:1")
    before = engine.account("shop")
    await before.open()
    await before.connected()
    with pytest.raises(grpc.aio.AioRpcError) as broken:
        await before.send(linked.ana_jid, "3EB0AA", "hello")
    assert broken.value.code() is grpc.StatusCode.UNAVAILABLE
    await engine.gone()
    await before.leave()
    await engine.start()
    after = engine.account("shop")
    await after.open()
    await after.connected()
    assert (await after.send(linked.ana_jid, "3EB0AA", "hello")).outcome == Outcome.SENT
    assert [shown.text for shown in linked.ana.inbox] == ["hello"]
    assert all(frame.decryptable for frame in server.frames())


async def test_a_retry_receipt_is_answered_after_a_restart(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    await linked.account.send(linked.ana_jid, "3EB0AA", "first")
    server.faults.unreadable(linked.ana)
    await engine.kill()
    await engine.start(WIRE_DIE_AT="send.frame:1")
    before = engine.account("shop")
    await before.open()
    await before.connected()
    with contextlib.suppress(grpc.aio.AioRpcError):
        await before.send(linked.ana_jid, "3EB0BB", "in two tries")
    await engine.gone()
    await before.leave()
    assert linked.ana.find_shown(linked.phone.number, "3EB0BB") is None
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await server.until(lambda: linked.ana.find_shown(linked.phone.number, "3EB0BB"), what="the second try")


@pytest.mark.parametrize("what", ["message", "receipt", "call"])
async def test_whatsapp_is_told_of_nothing_that_does_not_stand(
    server: WhatsAppServer, linked: Linked, tmp_path: Path, what: str
) -> None:
    """While the inbox cannot be written to."""
    await linked.ana.send(linked.phone, "before")  # whatever must be learnt of a contact is learnt
    await linked.account.until_message("before")
    await linked.device.caught_up()
    with locked(tmp_path / "sessions.db"):
        if what == "message":
            await linked.ana.send(linked.phone, "hello")
        elif what == "receipt":
            linked.ana.receipt(linked.phone, ["3EB0AA"], "read")
        else:
            linked.ana.call(linked.phone)
        await server.until(lambda: len(linked.device.waiting) == 1, what="the stanza to wait")
        await stays_so(lambda: len(linked.device.waiting) == 1, "WhatsApp is not told", 1.0)
    await linked.device.caught_up()
    await linked.account.until(lambda: len(linked.account.messages) + len(linked.account.receipts) == 2, "the event")


async def test_a_killed_engine_leaves_a_store_that_opens_again_at_once(linked: Linked, engine: RunningEngine) -> None:
    for _ in range(5):
        await engine.kill()
        await engine.start()
        account = engine.account("shop")
        assert (await account.open()).paired
        await account.connected()
        await account.leave()


async def _open_if_it_lives(account: Account) -> None:
    """The engine may be killed by what waited for it."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await account.open()
