"""The gap audit's engine part: what WhatsApp announces after a connect is held against what arrives, over bounces and kills, too."""

import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.engine.running import Account, RunningEngine, State
from tests.waiting import stays_so
from tests.whatsapp import WhatsAppServer


def backlogs(account: Account) -> list[pb.BacklogDelivered]:
    return [event.backlog for event in account.events if event.WhichOneof("kind") == "backlog"]


def awaited(account: Account) -> list[str]:
    return [event.awaited.whatsapp_id for event in account.events if event.WhichOneof("kind") == "awaited"]


def counts(told: pb.BacklogDelivered) -> tuple[int, int, int, int, int]:
    return told.announced, told.events, told.without_event, told.undecrypted, told.lost


async def write(linked: Linked, *texts: str) -> None:
    for text in texts:
        await linked.ana.send(linked.phone, text)


async def back_with(linked: Linked, engine: RunningEngine, **environment: str) -> Account:
    """The engine comes back, and with it the account."""
    await engine.start(**environment)
    account = engine.account("shop")
    await account.open()
    return account


async def told(account: Account) -> pb.BacklogDelivered:
    return (await account.until(lambda: backlogs(account), "a word on the backlog"))[-1]


async def test_a_backlog_that_arrives_whole_is_told_after_its_last_message(
    linked: Linked, engine: RunningEngine
) -> None:
    await engine.kill()
    await write(linked, "one", "two", "three")
    account = await back_with(linked, engine)
    assert counts(await told(account)) == (3, 3, 0, 0, 0)
    assert account.texts() == ["one", "two", "three"]
    sequences = [event.sequence for event in account.events if event.WhichOneof("kind") in ("message", "backlog")]
    assert sequences == sorted(sequences)


async def test_an_announced_message_that_never_comes_is_told_as_lost(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await write(linked, "live")
    await linked.account.until_message("live")  # what was announced when it was linked is over, then
    await linked.device.caught_up()
    await engine.kill()
    server.faults.lose_backlog(contact=linked.ana)
    await write(linked, "lost", "two", "three")
    account = await back_with(linked, engine)
    said = await told(account)
    assert counts(said) == (3, 2, 0, 0, 1)
    assert said.began_at_unix_ms == said.connected_at_unix_ms > 0


async def test_what_nobody_would_miss_is_not_told(linked: Linked) -> None:
    """Its phone has said something to the device when it was linked."""
    await write(linked, "live")
    await linked.account.until_message("live")
    assert [event.sequence for event in linked.account.events if event.sequence] == [1]


async def test_receipts_and_what_comes_live_are_no_part_of_it(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await engine.kill()
    linked.ana.receipt(linked.phone, ["SOMETHING"], "delivered")
    account = await back_with(linked, engine)
    await account.until(lambda: account.receipts, "the receipt")
    await linked.device.ready()
    await write(linked, "live")
    await account.until_message("live")
    assert backlogs(account) == []


async def test_a_stanza_that_comes_twice_counts_as_one_that_came_before(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await engine.kill()
    server.faults.duplicate_delivery(contact=linked.ana)
    await write(linked, "twice", "once")
    account = await back_with(linked, engine)
    assert counts(await told(account)) == (3, 2, 1, 0, 0)
    assert awaited(account) == []


async def test_what_the_phone_says_to_its_devices_is_nobodys_message(linked: Linked, engine: RunningEngine) -> None:
    await engine.kill()
    linked.phone.greet(linked.device)
    await linked.phone.send_history(linked.device, mappings=[linked.ana])
    await write(linked, "one")
    account = await back_with(linked, engine)
    assert counts(await told(account)) == (4, 1, 3, 0, 0)


async def test_a_message_that_cannot_be_read_is_awaited_before_it_is_answered(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await write(linked, "known")
    await linked.account.until_message("known")
    await linked.device.caught_up()  # else it would come again, as a third
    await engine.kill()
    server.faults.phone_off()
    server.faults.corrupt_next(linked.ana, answers=False)
    corrupt = await linked.ana.send(linked.phone, "corrupt")
    server.faults.unavailable(linked.ana)
    unavailable = await linked.ana.send(linked.phone, "unavailable")
    account = await back_with(linked, engine)
    assert counts(await told(account)) == (2, 0, 0, 2, 0)
    assert awaited(account) == [corrupt.id, unavailable.id]
    (event, _) = [event.awaited for event in account.events if event.WhichOneof("kind") == "awaited"]
    assert (event.chat_jid, event.chat_other_jid) == (str(linked.ana.number_jid), str(linked.ana.lid))
    assert (event.from_me, event.timestamp_s) == (False, corrupt.timestamp_s)
    server.faults.clear()
    await account.until_message("unavailable")


async def test_a_connection_that_is_cut_in_the_middle_leaves_no_gap_when_the_rest_comes(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await engine.kill()
    server.faults.cut_backlog(2)
    await write(linked, "one", "two", "three", "four")
    account = await back_with(linked, engine)
    said = await told(account)
    assert said.lost == 0
    assert account.texts() == ["one", "two", "three", "four"]
    assert said.began_at_unix_ms < said.connected_at_unix_ms


async def test_what_is_lost_before_a_cut_is_owed_on_the_next_connection(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await engine.kill()
    server.faults.lose_backlog(contact=linked.ana)
    server.faults.cut_backlog(3)
    await write(linked, "lost", "two", "three", "four")
    account = await back_with(linked, engine)
    assert (await told(account)).lost == 1


@pytest.mark.parametrize("point", ["backlog.settled:2", "backlog.delivered:1", "inbox.saved:2"])
async def test_an_engine_that_is_killed_in_the_middle_tells_of_what_was_lost_when_it_is_back(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer, point: str
) -> None:
    await engine.kill()
    server.faults.lose_backlog(contact=linked.ana)
    await write(linked, "lost", "two", "three", "four")
    await back_with(linked, engine, WIRE_DIE_AT=point)
    await engine.gone()
    account = await back_with(linked, engine)
    assert (await told(account)).lost == 1
    await linked.device.ready()
    assert len(backlogs(account)) == 1


@pytest.mark.parametrize("point", ["backlog.settled:2", "backlog.delivered:1", "inbox.saved:2"])
async def test_an_engine_that_is_killed_in_the_middle_sees_no_gap_where_nothing_was_lost(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer, point: str
) -> None:
    await engine.kill()
    await write(linked, "one", "two", "three")
    await back_with(linked, engine, WIRE_DIE_AT=point)
    await engine.gone()
    await write(linked, "four")
    account = await back_with(linked, engine)
    assert (await told(account)).lost == 0


async def test_a_word_on_the_backlog_comes_again_until_it_is_acknowledged(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await engine.kill()
    server.faults.lose_backlog(contact=linked.ana)
    await write(linked, "lost", "two")
    await engine.start()
    account = engine.account("shop")
    account.acknowledges = False
    await account.open()
    first = await told(account)
    await engine.kill()
    again = await back_with(linked, engine)
    assert await told(again) == first
    await again.acknowledge(max(event.sequence for event in again.events))
    await engine.kill()
    last = await back_with(linked, engine)
    await last.connected()
    await linked.device.ready()
    await stays_so(lambda: not backlogs(last), "it is told again", 0.5)


async def test_a_history_that_is_asked_for_comes_with_the_messages_before(
    linked: Linked, engine: RunningEngine, server: WhatsAppServer
) -> None:
    await engine.kill()
    server.faults.lose_backlog(contact=linked.ana)
    lost = await linked.ana.send(linked.phone, "lost")
    known = await linked.ana.send(linked.phone, "known")
    account = await back_with(linked, engine)
    await told(account)
    await account.until_state(State.CONNECTED)
    request = pb.RequestHistoryRequest(
        session=account.session,
        chat_jid=str(linked.ana.number_jid),
        whatsapp_id=known.id,
        timestamp_s=known.timestamp_s,
        count=50,
    )
    await engine.stub.RequestHistory(request, timeout=10)
    message = await account.until_message("lost")
    assert (message.whatsapp_id, message.chat_jid, message.chat_other_jid, message.from_history) == (
        lost.id,
        str(linked.ana.lid),
        str(linked.ana.number_jid),
        True,
    )
    assert message.timestamp_s == lost.timestamp_s
