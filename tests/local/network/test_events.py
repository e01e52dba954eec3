"""What the network hands to an account: in order, until it is acknowledged, with the faults that were asked for."""

import time

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from local.network.client import Network
from local.network.contacts import Addressing, lid_of
from local.network.faults import FaultKind
from tests.local.network.driver import ANA, ANA_JID, SHOP, Driver


async def test_a_contacts_message_arrives_as_it_was_written(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    before_s = int(time.time())

    whatsapp_id = network.write(ANA, SHOP, "Bună 👋\nsecond line")

    event = await events.next()
    message = event.message
    assert event.sequence == 1
    assert pb.MessageReceived.FromString(event.wire) == message
    assert (message.whatsapp_id, message.chat_jid, message.chat_other_jid) == (whatsapp_id, ANA_JID, lid_of(ANA))
    assert (message.text, message.push_name, message.from_me) == ("Bună 👋\nsecond line", "Ana", False)
    assert before_s <= message.timestamp_s <= time.time()
    assert [written.whatsapp_id for written in network.written(contact=ANA)] == [whatsapp_id]


async def test_what_is_not_acknowledged_comes_again_in_order_and_what_is_never(
    driver: Driver, network: Network
) -> None:
    events = await driver.connected()
    for text in ("one", "two", "three", "four"):
        network.write(ANA, SHOP, text)
    await events.texts(4)
    await driver.acknowledge(2)
    events.call.cancel()

    again = driver.events()

    assert (await again.next_state()).state == pb.SessionChanged.CONNECTED
    third = await again.next()
    assert (third.sequence, third.message.text) == (3, "three")
    assert await again.texts(1) == ["four"]
    await driver.acknowledge(4)
    assert network.accounts()["shop"].unacknowledged == 0


async def test_an_acknowledgement_of_what_never_came_is_refused(driver: Driver) -> None:
    await driver.connected()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await driver.acknowledge(1)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_messages_wait_while_nobody_has_the_account_open(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.write(ANA, SHOP, "unacknowledged")
    await events.texts(1)
    await driver.close()
    network.write(ANA, SHOP, "offline")
    assert network.accounts()["shop"].offline == 1

    await driver.open(epoch=2)
    events = driver.events(epoch=2)

    assert (await events.next_state()).state == pb.SessionChanged.CONNECTING
    assert (await events.next_state()).state == pb.SessionChanged.CONNECTED
    assert await events.texts(2) == ["unacknowledged", "offline"]


async def test_a_second_stream_ends_the_first_and_goes_on(driver: Driver, network: Network) -> None:
    first = await driver.connected()
    network.write(ANA, SHOP, "one")
    await first.texts(1)

    second = driver.events()

    assert (await second.next_state()).state == pb.SessionChanged.CONNECTED
    assert await first.has_ended()
    network.write(ANA, SHOP, "two")
    assert await second.texts(2) == ["one", "two"]


async def test_a_contact_may_be_addressed_by_its_lid(driver: Driver, network: Network) -> None:
    lid = network.add_contact(ANA, "Ana", addressing=Addressing.LID).lid
    events = await driver.connected()

    network.write(ANA, SHOP, "by LID")
    network.write(ANA, SHOP, "by LID alone", addressing=Addressing.LID_ONLY)
    network.write(ANA, SHOP, "by number", addressing=Addressing.NUMBER)
    await driver.send("3EB0A", chat_jid=lid)

    names = [(m.chat_jid, m.chat_other_jid) for m in [await events.next_message() for _ in range(3)]]
    assert names == [(lid, ANA_JID), (lid, ""), (ANA_JID, lid_of(ANA))]
    receipt = await events.next_receipt()
    assert (receipt.chat_jid, receipt.chat_other_jid) == (lid, ANA_JID)
    assert [message.text for message in network.inbox(ANA)] == ["hello"]


async def test_a_message_of_another_kind_tells_its_kind(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.write(ANA, SHOP, unsupported="stickerMessage")
    assert (await events.next_message()).unsupported == "stickerMessage"


async def test_what_is_typed_on_the_phone_reaches_the_contact_and_the_account(driver: Driver, network: Network) -> None:
    events = await driver.connected()

    whatsapp_id = network.type_on_phone(SHOP, ANA, "from my phone")

    assert (await events.next()).HasField("phone_seen")
    message = await events.next_message()
    assert (message.whatsapp_id, message.from_me, message.text) == (whatsapp_id, True, "from my phone")
    assert [m.whatsapp_id for m in network.inbox(ANA)] == [whatsapp_id]


async def test_an_echo_shows_a_message_that_was_sent(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    hold = network.fault(FaultKind.HOLD_RECEIPTS, contact=ANA)
    await driver.send("3EB0A", "hello")

    network.echo(SHOP, ANA, "3EB0A")

    message = await events.next_message()
    assert (message.whatsapp_id, message.from_me, message.chat_jid) == ("3EB0A", True, ANA_JID)
    network.clear_faults(hold)


async def test_a_deaf_connection_hands_nothing_over_and_the_next_one_begins_with_it(
    driver: Driver, network: Network
) -> None:
    events = await driver.connected()
    network.fault(FaultKind.DEAF, account=SHOP)
    written = [network.write(ANA, SHOP, text) for text in ("can you hear me?", "hello?")]
    assert network.accounts()["shop"].is_connected
    assert network.accounts()["shop"].offline == 2
    network.disconnect(SHOP)
    network.reconnect(SHOP)
    while (await events.next_state()).state != pb.SessionChanged.CONNECTED:
        pass
    assert [(await events.next_message()).whatsapp_id for _ in written] == written


async def test_another_device_of_the_number_sees_what_is_sent(driver: Driver, network: Network) -> None:
    await driver.connected()
    other = await driver.connected(account="other")

    await driver.send("3EB0A", "from shop")

    message = await other.next_message()
    assert (message.whatsapp_id, message.from_me, message.text) == ("3EB0A", True, "from shop")


async def test_an_event_is_repeated_on_request(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.fault(FaultKind.REPEAT, account=SHOP)

    network.write(ANA, SHOP, "twice")
    network.write(ANA, SHOP, "once")

    first, second = await events.next(), await events.next()
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.message == second.message
    assert await events.texts(1) == ["once"]


async def test_two_events_are_swapped_on_request(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.fault(FaultKind.REORDER)
    for text in ("one", "two", "three"):
        network.write(ANA, SHOP, text)
    assert await events.texts(3) == ["two", "one", "three"]


async def test_a_swapped_event_is_not_lost_with_the_connection(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.fault(FaultKind.REORDER)
    network.write(ANA, SHOP, "one")
    network.disconnect(SHOP)
    network.write(ANA, SHOP, "two")
    network.reconnect(SHOP)

    for _ in range(2):
        await events.next_state()
    assert await events.texts(2) == ["one", "two"]


async def test_receipts_are_held_until_they_are_released(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    hold = network.fault(FaultKind.HOLD_RECEIPTS, contact=ANA, times=None)
    await driver.send("3EB0A")
    network.read(ANA, SHOP)
    network.write(ANA, SHOP, "seen")
    assert await events.texts(1) == ["seen"]

    network.clear_faults(hold)

    types = {(await events.next_receipt()).type for _ in range(2)}
    assert types == {pb.ReceiptReceived.DELIVERED, pb.ReceiptReceived.READ}


async def test_a_contact_that_reads_says_delivered_and_then_read(driver: Driver, network: Network) -> None:
    network.add_contact(ANA, "Ana", reads=True)
    events = await driver.connected()

    await driver.send("3EB0A")

    delivered, read = await events.next_receipt(), await events.next_receipt()
    assert (delivered.type, list(delivered.whatsapp_ids)) == (pb.ReceiptReceived.DELIVERED, ["3EB0A"])
    assert (read.type, list(read.whatsapp_ids)) == (pb.ReceiptReceived.READ, ["3EB0A"])


async def test_a_contact_reads_when_asked_all_that_was_unread(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    for whatsapp_id in ("3EB0A", "3EB0B"):
        await driver.send(whatsapp_id)
        await events.next_receipt()

    assert network.read(ANA, SHOP) == ["3EB0A", "3EB0B"]
    assert network.read(ANA, SHOP) == []

    read = await events.next_receipt()
    assert (read.type, list(read.whatsapp_ids)) == (pb.ReceiptReceived.READ, ["3EB0A", "3EB0B"])


async def test_a_receipt_may_be_about_anything(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.send_receipt(ANA, SHOP, ["NEVER-SENT"], "delivered")
    assert list((await events.next_receipt()).whatsapp_ids) == ["NEVER-SENT"]
