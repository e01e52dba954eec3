"""Chats whose messages disappear: what is sent from here carries the chat's timer, as messages of WhatsApp's own apps do."""

import time
from typing import Any

import pytest

from tests.engine.conftest import Linked, link
from tests.engine.running import RunningEngine
from tests.engine.stores import PostgresStore
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.contact import Addressing
from tests.whatsapp.protobufs import e2e

DAY, WEEK = 86_400, 604_800


def timed_text(text: str, seconds: int, set_at: int = 0) -> Any:
    """A text in a chat with a timer."""
    message = e2e.Message()
    message.extendedTextMessage.text = text
    message.extendedTextMessage.contextInfo.expiration = seconds
    if set_at:
        message.extendedTextMessage.contextInfo.ephemeralSettingTimestamp = set_at
    return message


def setting(seconds: int, set_at: int) -> Any:
    """Somebody sets the chat's timer; 0 ends it."""
    message = e2e.Message()
    message.protocolMessage.type = e2e.ProtocolMessage.EPHEMERAL_SETTING
    message.protocolMessage.ephemeralExpiration = seconds
    message.protocolMessage.ephemeralSettingTimestamp = set_at
    return message


async def sent_under(server: WhatsAppServer, linked: Linked, text: str = "an answer") -> tuple[str, int, int]:
    """What the contact gets of an answer: text, timer, and when the timer was set."""
    message_id = f"3EB0{abs(hash((text, time.time_ns()))):018X}"[:22]
    answer = await linked.account.send(linked.ana_jid, message_id, text)
    assert answer.timestamp_s, answer
    (frame,) = server.frames(id=message_id)
    content = frame.message.extendedTextMessage
    return frame.text or "", content.contextInfo.expiration, content.contextInfo.ephemeralSettingTimestamp


async def settled(linked: Linked) -> None:
    """WhatsApp has the device's word on all that was sent to it."""
    await linked.device.caught_up()


async def test_a_chat_without_a_timer_gets_plain_texts(server: WhatsAppServer, linked: Linked) -> None:
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")
    assert await sent_under(server, linked) == ("an answer", 0, 0)
    assert server.frames()[-1].message.HasField("conversation")


async def test_an_answer_carries_the_timer_of_the_contacts_message(server: WhatsAppServer, linked: Linked) -> None:
    now = int(time.time())
    await linked.ana.send_message(linked.phone, timed_text("hello", WEEK, now - 50))
    await linked.account.until_message("hello")
    assert await sent_under(server, linked) == ("an answer", WEEK, now - 50)


async def test_a_timer_that_the_contact_sets_changes_and_ends_is_followed(
    server: WhatsAppServer, linked: Linked
) -> None:
    now = int(time.time())
    for seconds, set_at in ((WEEK, now - 30), (DAY, now - 20), (0, now - 10)):
        await linked.ana.send_message(linked.phone, setting(seconds, set_at))
        await settled(linked)
        assert await sent_under(server, linked) == ("an answer", seconds, set_at if seconds else 0)


async def test_a_timer_that_is_set_on_the_accounts_own_phone_is_followed(
    server: WhatsAppServer, linked: Linked
) -> None:
    now = int(time.time())
    await linked.phone.write_message(linked.ana, setting(DAY, now - 5))
    await settled(linked)
    assert await sent_under(server, linked) == ("an answer", DAY, now - 5)


async def test_an_older_word_on_the_timer_changes_nothing(server: WhatsAppServer, linked: Linked) -> None:
    now = int(time.time())
    await linked.ana.send_message(linked.phone, setting(0, now - 10))
    await linked.ana.send_message(linked.phone, timed_text("written before", WEEK, now - 100))
    await settled(linked)
    assert await sent_under(server, linked) == ("an answer", 0, 0)


async def test_a_timer_from_the_future_is_taken_as_set_now(server: WhatsAppServer, linked: Linked) -> None:
    """Else nobody could change the timer any more."""
    await linked.ana.send_message(linked.phone, setting(WEEK, 4_000_000_000))
    await settled(linked)
    await linked.ana.send_message(linked.phone, setting(DAY, 4_000_000_000))
    await settled(linked)
    _, seconds, set_at = await sent_under(server, linked)
    assert seconds == DAY
    assert set_at <= time.time() + 1


@pytest.mark.parametrize("addressing", ["number", "lid", "lid_only"])
async def test_a_timer_is_the_persons_under_either_name(
    server: WhatsAppServer, linked: Linked, addressing: Addressing
) -> None:
    await linked.ana.send(linked.phone, "both names are known")
    await linked.account.until_message("both names are known")
    linked.ana.addressing = addressing
    now = int(time.time())
    await linked.ana.send_message(linked.phone, setting(WEEK, now - 5))
    await settled(linked)
    assert await sent_under(server, linked) == ("an answer", WEEK, now - 5)


async def test_timers_that_were_set_before_the_account_was_linked_come_with_the_history(
    server: WhatsAppServer, linked: Linked
) -> None:
    await linked.phone.send_history(
        linked.device,
        mappings=[linked.ana],
        conversations=[(linked.ana, [])],
        timers=[(linked.ana.number, (WEEK, 1_700_000_000))],
    )

    async def timer() -> tuple[int, int]:
        _, seconds, set_at = await sent_under(server, linked)
        return seconds, set_at

    deadline = time.monotonic() + 15
    while (found := await timer()) != (WEEK, 1_700_000_000):
        assert time.monotonic() < deadline, f"the timer is {found}"


async def test_a_timer_outlives_the_engine_and_a_change_of_owner(server: WhatsAppServer, store: PostgresStore) -> None:
    now = int(time.time())
    async with RunningEngine(store=store.address("first"), environment=server.environment()) as first:
        linked = await link(server, first)
        await linked.ana.send_message(linked.phone, setting(WEEK, now - 5))
        await settled(linked)
        async with RunningEngine(store=store.address("second"), environment=server.environment()) as second:
            successor = second.account("shop", epoch=2)
            await successor.open()
            await successor.connected()
            moved = Linked(account=successor, phone=linked.phone, device=linked.device, ana=linked.ana)
            assert await sent_under(server, moved) == ("an answer", WEEK, now - 5)


async def test_a_timer_outlives_an_older_store_that_is_not_used(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    """The device's keys are removed then. The timer is the chat's, whichever device is linked."""
    now = int(time.time())
    await linked.ana.send_message(linked.phone, setting(WEEK, now - 5))
    await settled(linked)
    await linked.account.close()
    account = engine.account("shop", epoch=2)
    await account.open(store_mark=10**9)
    await linked.phone.unlink(linked.device)
    device = await linked.phone.scan((await account.pair()).qr)
    await account.connected()
    await device.ready()
    again = Linked(account=account, phone=linked.phone, device=device, ana=linked.ana)
    assert await sent_under(server, again) == ("an answer", WEEK, now - 5)
