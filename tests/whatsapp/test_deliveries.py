"""Stanzas for a real engine: in order, whatever it was doing when they came, and again when it asks."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import pytest

from connector.contract import engine_pb2 as pb
from tests.whatsapp import ServerFoundProblems, WhatsAppServer
from tests.whatsapp.contact import Contact
from tests.whatsapp.linked import ANA, SHOP, Linked, has_receipt, new_id
from tests.whatsapp.node import Node
from tests.whatsapp.person import text_message
from tests.whatsapp.raw_client import Newcomer, RawClient

BACKLOG = 6_000


async def test_what_is_written_while_the_engine_is_dead_comes_in_order(here: Linked) -> None:
    await here.engine.kill()
    await here.server.until(lambda: not here.device.is_connected)
    texts = [f"text {number}" for number in range(200)]
    for text in texts:
        await here.ana.send(here.phone, text)
    assert len(here.device.waiting) >= len(texts)
    account = await here.restart()
    await account.until(lambda: len(account.texts()) >= len(texts), "all that was written")
    assert account.texts() == texts
    await here.device.caught_up()
    await account.leave()


async def test_what_comes_while_the_backlog_is_written_does_not_overtake_it(here: Linked) -> None:
    await here.engine.kill()
    await here.server.until(lambda: not here.device.is_connected)
    numbers = itertools.count()

    async def write(count: int) -> None:
        for _ in range(count):
            await here.ana.send(here.phone, str(next(numbers)))

    async def write_while_it_connects() -> None:
        while not here.device.is_ready:
            await write(1)
            await asyncio.sleep(0.001)

    await write(500)
    writing = asyncio.create_task(write_while_it_connects())
    account = await here.restart()
    await writing
    await write(10)
    last = str(next(numbers) - 1)
    await account.until_message(last)
    assert account.texts() == [str(number) for number in range(int(last) + 1)]
    await account.leave()


async def test_a_message_that_cannot_be_decrypted_comes_again_when_it_is_asked_for(here: Linked) -> None:
    here.phone.answers_requests = False
    await here.account.send(str(here.ana.number_jid), new_id(), "so that the session is no new one")
    here.server.keep_stanzas()
    fault = here.server.faults.corrupt_next(here.ana)
    written = await here.ana.send(here.phone, "spoilt")
    message = await here.account.until_message("spoilt")
    assert (message.whatsapp_id, fault.hits) == (written.id, 1)
    sealed = [stanza.text for stanza in here.server.stanzas if "<enc " in stanza.text and not stanza.is_from_client]
    assert ['type="msg"' in text for text in sealed] == [True, False]
    assert 'type="pkmsg" count="1"' in sealed[1]  # a new session


async def test_a_message_that_its_sender_does_not_repeat_comes_from_the_phone(here: Linked) -> None:
    here.server.faults.corrupt_next(here.ana, answers=False)
    await here.ana.send(here.phone, "spoilt for ever")
    await here.account.until_message("spoilt for ever")
    assert len(here.phone.requests) == 1


async def test_a_placeholder_is_asked_for_on_the_phone(here: Linked) -> None:
    here.server.faults.unavailable(here.ana)
    written = await here.ana.send(here.phone, "seen on the phone alone")
    message = await here.account.until_message("seen on the phone alone")
    assert (message.whatsapp_id, message.chat_jid) == (written.id, str(here.ana.lid))


async def test_receipts_that_are_held_come_when_the_fault_ends(here: Linked) -> None:
    held, message_id = here.server.faults.hold_receipts(here.ana), new_id()
    await here.account.send(str(here.ana.number_jid), message_id, "text")
    await here.ana.send(here.phone, "after it")
    await here.account.until_message("after it")
    assert not has_receipt(here.account, message_id, pb.ReceiptReceived.DELIVERED)
    held.end()
    await here.account.until(lambda: has_receipt(here.account, message_id, pb.ReceiptReceived.DELIVERED), "delivered")


async def test_a_deaf_connection_stays_and_the_next_one_begins_with_what_waited(here: Linked) -> None:
    here.server.faults.deafen(phone=here.phone)
    connection = here.device.connection
    for text in ("can you hear me?", "hello?"):
        await here.ana.send(here.phone, text)
    message_id = new_id()
    await here.account.send(str(here.ana.number_jid), message_id, "an ack comes all the same")
    assert here.device.connection is connection
    assert not [message for message in here.account.messages if message.text == "hello?"]
    here.server.faults.drop(here.device)
    await here.account.until_message("can you hear me?")
    await here.account.until_message("hello?")


async def test_a_delayed_stanza_comes_late(here: Linked) -> None:
    here.server.faults.delay(0.5, contact=here.ana)
    started = time.monotonic()
    await here.ana.send(here.phone, "late")
    await here.account.until_message("late")
    assert time.monotonic() - started >= 0.5


async def test_a_repeated_id_and_a_stanza_that_comes_twice_both_reach_the_device(here: Linked) -> None:
    here.server.faults.duplicate_delivery()
    first = await here.ana.send(here.phone, "one")
    await here.ana.send(here.phone, "two", id=first.id)
    await here.ana.send(here.phone, "three")
    await here.account.until_message("three")
    await here.device.caught_up()


async def test_bytes_that_are_no_message_are_a_problem_unless_the_test_is_about_them(here: Linked) -> None:
    await here.ana.send_message(here.phone, b"\xff" + text_message("text").SerializeToString())
    await here.server.until(lambda: here.server.problems)
    assert {problem.kind for problem in here.server.problems} == {"refused_by_client"}
    here.server.forgive("refused_by_client")


async def test_an_unanswered_stanza_fails_the_test(here: Linked) -> None:
    here.server.faults.fall_silent(here.device)
    await here.ana.send(here.phone, "never read")
    await here.server.settle(within_s=0.2)
    assert [problem.kind for problem in here.server.problems] == ["unanswered"]
    with pytest.raises(ServerFoundProblems, match="unanswered"):
        here.server.check()
    here.server.forgive("unanswered")
    here.server.faults.drop(here.device)


async def test_a_backlog_of_thousands_is_written_in_order_and_kept_until_it_is_confirmed() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone = Newcomer(server.port), server.add_phone(SHOP)
        ana, device = server.add_contact(ANA), await newcomer.pair(phone)
        for number in range(BACKLOG):
            await ana.send(phone, "text", id=f"{number}")
        for _ in range(2):  # the first connection confirms nothing
            async with newcomer.log_in(device) as client:
                await client.become_active()
                ids = [stanza.text("id") async for stanza in _messages_of(client, ana)]
                assert ids == [f"{number}" for number in range(BACKLOG)]
            await server.until(lambda: not device.is_connected)
        async with newcomer.log_in(device) as client:
            for number in range(BACKLOG):
                client.send(Node("receipt", {"id": f"{number}", "to": ana.number_jid}))
            await server.until(
                lambda: len(device.waiting) <= 2, what="all but the phone's two first messages to be confirmed"
            )


async def _messages_of(client: RawClient, contact: Contact) -> AsyncIterator[Node]:
    """The offline queue, as far as it came from a contact."""
    while (stanza := await client.receive()).child("offline") is None:
        if stanza.tag == "message" and stanza.jid("from") == contact.number_jid:
            yield stanza
