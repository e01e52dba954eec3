"""What leaves, in which order, and what the engine says of it."""

import asyncio
import time

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from local.network.client import Network
from local.network.faults import FaultKind
from tests.local.network.driver import ANA, SHOP, Driver
from tests.local.running import until

BOB = "+40722222222"
BOB_JID = "40722222222@s.whatsapp.net"
Outcome = pb.SendResponse.Outcome


async def test_a_sent_text_reaches_the_contact_under_its_id(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    before_s = int(time.time())

    response = await driver.send("3EB0A", "Bună 👋")

    assert response.outcome == pb.SendResponse.SENT
    assert before_s <= response.timestamp_s <= time.time()
    [frame] = network.frames(account=SHOP)
    assert (frame.contact, frame.whatsapp_id, frame.text, frame.attempt) == (ANA, "3EB0A", "Bună 👋", 1)
    [message] = network.inbox(ANA)
    assert (message.sender, message.whatsapp_id, message.text) == (SHOP, "3EB0A", "Bună 👋")
    assert message.timestamp_s == response.timestamp_s
    assert (await events.next_receipt()).type == pb.ReceiptReceived.DELIVERED


async def test_a_repeated_id_makes_a_second_frame_that_the_app_does_not_show(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    await driver.send("3EB0A")
    await driver.send("3EB0A")
    assert [frame.attempt for frame in network.frames()] == [1, 2]
    assert len(network.inbox(ANA)) == 1
    assert [(await events.next_receipt()).type for _ in range(2)] == [pb.ReceiptReceived.DELIVERED] * 2


async def test_a_send_under_way_is_joined(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.DELAY_AFTER, seconds=0.3)
    first, second = await asyncio.gather(driver.send("3EB0A"), driver.send("3EB0A"))
    assert first == second
    assert first.outcome == pb.SendResponse.SENT
    assert len(network.frames()) == 1


async def test_sends_of_a_chat_leave_in_the_order_of_their_calls(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.DELAY_BEFORE, seconds=0.3)
    ids = [f"3EB0{number}" for number in range(10)]
    await asyncio.gather(*(driver.send(whatsapp_id) for whatsapp_id in ids))
    assert [frame.whatsapp_id for frame in network.frames()] == ids


async def test_a_number_and_its_lid_are_one_chat_in_that_order(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.DELAY_BEFORE, seconds=0.3)
    await asyncio.gather(driver.send("3EB0A"), driver.send("3EB0B", chat_jid=network.contacts()[ANA].lid))
    assert [frame.whatsapp_id for frame in network.frames()] == ["3EB0A", "3EB0B"]


async def test_a_slow_chat_does_not_hold_another(driver: Driver, network: Network) -> None:
    network.add_contact(BOB, "Bob")
    await driver.connected()
    network.fault(FaultKind.DELAY_BEFORE, contact=ANA, seconds=0.5)
    await asyncio.gather(driver.send("3EB0A"), driver.send("3EB0B", chat_jid=BOB_JID))
    assert [frame.whatsapp_id for frame in network.frames()] == ["3EB0B", "3EB0A"]


async def test_a_send_without_ack_does_not_hold_its_chat(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.SILENT)
    silent = asyncio.create_task(driver.send("3EB0A"))
    await until(lambda: len(network.frames()) == 1)
    assert (await driver.send("3EB0B")).outcome == pb.SendResponse.SENT
    assert not silent.done()
    assert (await silent).outcome == pb.SendResponse.UNKNOWN


async def test_nothing_leaves_after_its_time_whatever_delayed_it(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.DELAY_BEFORE, seconds=0.5)
    delayed, behind_it = await asyncio.gather(
        driver.send("3EB0A", not_after_s=0.2), driver.send("3EB0B", not_after_s=0.2)
    )
    assert delayed.outcome == behind_it.outcome == pb.SendResponse.EXPIRED
    assert network.frames() == []


async def test_a_send_whose_caller_has_gone_leaves_all_the_same(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.DELAY_BEFORE, seconds=0.3)
    call = asyncio.create_task(driver.send("3EB0A"))
    await until(lambda: network.faults()[0].times == 0)
    call.cancel()
    await until(lambda: len(network.frames()) == 1)


async def test_a_send_that_waits_when_its_session_is_taken_over_does_not_leave(
    driver: Driver, network: Network
) -> None:
    await driver.connected()
    network.fault(FaultKind.DELAY_BEFORE, seconds=0.3)
    waiting = asyncio.create_task(driver.send("3EB0A"))
    await until(lambda: network.faults()[0].times == 0)
    await driver.open(epoch=2)
    assert (await waiting).outcome == pb.SendResponse.NOT_CONNECTED
    assert network.frames() == []


async def test_an_ack_is_lost_with_its_connection(driver: Driver, network: Network) -> None:
    network.change_settings(ack_timeout_s=60)
    await driver.connected()
    network.fault(FaultKind.SILENT)
    waiting = asyncio.create_task(driver.send("3EB0A"))
    await until(lambda: len(network.frames()) == 1)
    network.disconnect(SHOP)
    response = await waiting
    assert (response.outcome, response.reason) == (pb.SendResponse.UNKNOWN, "disconnected")


async def test_a_number_without_account_is_rejected(driver: Driver, network: Network) -> None:
    await driver.connected()
    response = await driver.send("3EB0A", chat_jid="40799999999@s.whatsapp.net")
    assert (response.outcome, response.reason) == (pb.SendResponse.REJECTED, "no_account")
    assert network.frames() == []


@pytest.mark.parametrize(
    ("kind", "outcome", "reason", "frames"),
    [
        (FaultKind.DROP, pb.SendResponse.UNKNOWN, "no_ack", 0),
        (FaultKind.SILENT, pb.SendResponse.UNKNOWN, "no_ack", 1),
        (FaultKind.REFUSE, pb.SendResponse.REJECTED, "463", 0),
        (FaultKind.NOT_SENT, pb.SendResponse.NOT_SENT, "no_recipient_device", 0),
    ],
)
async def test_a_fault_strikes_the_next_send_alone(
    driver: Driver, network: Network, kind: FaultKind, outcome: Outcome.ValueType, reason: str, frames: int
) -> None:
    network.change_settings(ack_timeout_s=0.2)
    await driver.connected()
    network.fault(kind, contact=ANA)

    struck = await driver.send("3EB0A")

    assert (struck.outcome, struck.reason) == (outcome, reason)
    assert len(network.frames()) == len(network.inbox(ANA)) == frames
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.SENT


async def test_a_frame_that_lost_its_connection_is_repeated_on_the_next(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.fault(FaultKind.CUT, contact=ANA)
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.SENT
    assert [frame.attempt for frame in network.frames()] == [1, 2]
    assert len(network.inbox(ANA)) == 1
    assert [(await events.next_state()).state for _ in range(2)] == [
        pb.SessionChanged.RECONNECTING,
        pb.SessionChanged.CONNECTED,
    ]


async def test_a_refusal_gives_the_code_that_was_asked_for(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.fault(FaultKind.REFUSE, code="479")
    assert (await driver.send("3EB0A")).reason == "479"


async def test_a_lost_frame_without_answer_takes_the_whole_time(driver: Driver, network: Network) -> None:
    network.change_settings(ack_timeout_s=0.5)
    await driver.connected()
    network.fault(FaultKind.DROP)
    started = time.monotonic()
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.UNKNOWN
    assert time.monotonic() - started >= 0.5
    assert network.frames() == []


async def test_an_ack_after_the_sends_end_comes_as_a_receipt(driver: Driver, network: Network) -> None:
    network.change_settings(ack_timeout_s=0.1)
    events = await driver.connected()
    network.fault(FaultKind.HOLD_RECEIPTS)  # the contact's DELIVERED
    network.fault(FaultKind.DELAY_AFTER, seconds=0.3)
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.UNKNOWN
    receipt = await events.next_receipt()
    assert (receipt.type, list(receipt.whatsapp_ids)) == (pb.ReceiptReceived.SENT, ["3EB0A"])


async def test_a_fault_lasts_until_it_is_cleared(driver: Driver, network: Network) -> None:
    await driver.connected()
    fault = network.fault(FaultKind.NOT_SENT, times=None)
    for _ in range(3):
        assert (await driver.send("3EB0A")).outcome == pb.SendResponse.NOT_SENT
    network.clear_faults(fault)
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.SENT


async def test_malformed_sends_are_refused(driver: Driver) -> None:
    await driver.connected()
    for wrong in (
        driver.send("", "hello"),
        driver.send("3EB0A", ""),
        driver.send("3EB0A", chat_jid="120363000000000000@g.us"),
        driver.send("3EB0A", chat_jid="nobody"),
        driver.send("3EB0A", not_after_s=-2 * time.time()),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await wrong
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
