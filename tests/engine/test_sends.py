"""Promise 2: one id, one message; no frame after its time; and of each send, what its end proves."""

import asyncio
import time

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.engine.running import Outcome, RunningEngine, State
from tests.whatsapp import WhatsAppServer


def message_id(number: int = 1) -> str:
    return f"3EB0{number:018X}"


async def test_a_send_ends_when_whatsapp_has_taken_it(server: WhatsAppServer, linked: Linked) -> None:
    sent = await linked.account.send(linked.ana_jid, message_id(), "hello")
    assert sent.outcome == Outcome.SENT
    assert abs(sent.timestamp_s - time.time()) < 5
    assert [(shown.id, shown.text) for shown in linked.ana.inbox] == [(message_id(), "hello")]


async def test_each_device_of_a_contact_says_that_a_message_came(server: WhatsAppServer, linked: Linked) -> None:
    """They say it at once, under the device's own address; the chat is the contact's all the same."""
    linked.ana.linked_devices = 2
    await linked.account.send(linked.ana_jid, message_id(), "hello")
    account = linked.account
    await account.until(lambda: len(account.receipts) == 3, "three receipts")
    assert {receipt.chat_jid for receipt in account.receipts} == {str(linked.ana.lid)}
    assert {receipt.type for receipt in account.receipts} == {pb.ReceiptReceived.DELIVERED}
    await linked.device.caught_up()


async def test_each_device_of_a_contact_says_that_a_message_was_read(linked: Linked) -> None:
    """All name the same message in the same chat, so that the rows after the first are known."""
    linked.ana.linked_devices = 2
    account = linked.account
    await account.send(linked.ana_jid, message_id(), "hello")
    await account.until(lambda: len(account.receipts) == 3, "three receipts that it came")
    await linked.ana.read(linked.phone)
    await account.until(lambda: len(account.receipts) == 6, "three receipts that it was read")
    read = [(each.type, list(each.whatsapp_ids), {each.chat_jid, each.chat_other_jid}) for each in account.receipts[3:]]
    names = {str(linked.ana.lid), str(linked.ana.number_jid)}
    assert read == [(pb.ReceiptReceived.READ, [message_id()], names)] * 3
    await linked.device.caught_up()


async def test_a_lid_can_be_written_to(linked: Linked) -> None:
    sent = await linked.account.send(str(linked.ana.lid), message_id(), "hello")
    assert sent.outcome == Outcome.SENT
    assert [shown.text for shown in linked.ana.inbox] == ["hello"]


async def test_the_same_id_again_is_shown_once(server: WhatsAppServer, linked: Linked, engine: RunningEngine) -> None:
    await linked.account.send(linked.ana_jid, message_id(), "hello")
    await engine.kill()
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.connected()
    assert (await account.send(linked.ana_jid, message_id(), "hello")).outcome == Outcome.SENT
    assert len(linked.ana.inbox) == 1
    assert [frame.decryptable for frame in server.frames(contact=linked.ana)] == [True, True]


async def test_a_send_of_the_same_id_under_way_is_joined(server: WhatsAppServer, linked: Linked) -> None:
    held = server.faults.hold_acks()
    sends = [asyncio.create_task(linked.account.send(linked.ana_jid, message_id(), "hello")) for _ in range(3)]
    await server.until(lambda: server.frames(id=message_id()))
    held.end()
    assert {(await send).outcome for send in sends} == {Outcome.SENT}
    assert len(server.frames(id=message_id())) == 1


async def test_sends_leave_in_the_order_of_their_calls(server: WhatsAppServer, linked: Linked) -> None:
    bea = server.add_contact("+40744444444", "Bea")
    for chat in (linked.ana, bea):  # whoever was written to before needs no questions first
        await linked.account.send(str(chat.number_jid), message_id(chat is bea), "first")
    chats = [linked.ana, bea, linked.ana, linked.ana, bea] * 6
    sends = []
    for number, chat in enumerate(chats):
        sends.append(asyncio.create_task(linked.account.send(str(chat.number_jid), message_id(100 + number), "x")))
        # Two calls at once may overtake each other on their way to the engine: this one has arrived when a later one is answered.
        await linked.account.stub.Hello(pb.HelloRequest(contract=3))
        await asyncio.sleep(0.02)
    assert {(await send).outcome for send in sends} == {Outcome.SENT}
    assert [frame.id for frame in server.frames()][2:] == [message_id(100 + number) for number in range(len(chats))]


async def test_a_refusal_carries_its_code(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.refuse(463)
    refused = await linked.account.send(linked.ana_jid, message_id(), "hello")
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "463")
    assert linked.ana.inbox == []


async def test_a_number_without_an_account_is_refused_for_good(server: WhatsAppServer, linked: Linked) -> None:
    refused = await linked.account.send("40799999999@s.whatsapp.net", message_id(), "hello")
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "no_account")
    assert server.frames() == []


async def test_a_number_whose_lid_is_not_told_is_not_said_to_have_no_account(
    server: WhatsAppServer, linked: Linked
) -> None:
    server.faults.no_lid(linked.ana)
    failed = await linked.account.send(linked.ana_jid, message_id(), "hello")
    assert failed.outcome == Outcome.NOT_SENT
    assert server.frames() == []


async def test_a_recipient_nobody_can_encrypt_for_gets_no_frame(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.no_bundle(linked.ana)
    failed = await linked.account.send(linked.ana_jid, message_id(), "hello")
    assert (failed.outcome, failed.reason) == (Outcome.NOT_SENT, "no_recipient_device")
    await asyncio.sleep(0.2)
    assert server.frames() == []


async def test_without_an_ack_the_outcome_is_unknown_within_the_deadline(
    server: WhatsAppServer, linked: Linked
) -> None:
    held = server.faults.hold_acks()
    began = time.monotonic()
    unknown = await linked.account.send(linked.ana_jid, message_id(), "hello", timeout_s=2.0)
    assert (unknown.outcome, unknown.reason) == (Outcome.UNKNOWN, "no_ack")
    assert 1.0 < time.monotonic() - began < 2.0
    held.end()


async def test_a_late_ack_comes_as_a_receipt(server: WhatsAppServer, linked: Linked) -> None:
    linked.ana.delivers = False
    server.faults.late_acks(2.0, times=1)
    unknown = await linked.account.send(linked.ana_jid, message_id(), "hello", timeout_s=1.0)
    assert unknown.outcome == Outcome.UNKNOWN
    await linked.account.until(lambda: linked.account.receipts, "the receipt")
    receipt = linked.account.receipts[0]
    assert (list(receipt.whatsapp_ids), receipt.type) == ([message_id()], pb.ReceiptReceived.SENT)
    assert {receipt.chat_jid, receipt.chat_other_jid} == {linked.ana_jid, str(linked.ana.lid)}


async def test_an_ack_in_time_is_no_receipt(linked: Linked) -> None:
    linked.ana.delivers = False
    await linked.account.send(linked.ana_jid, message_id(), "hello")
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    assert linked.account.receipts == []


async def test_a_send_whose_time_has_passed_leaves_no_frame(server: WhatsAppServer, linked: Linked) -> None:
    expired = await linked.account.send(linked.ana_jid, message_id(), "hello", within_s=-0.1)
    assert expired.outcome == Outcome.EXPIRED
    assert server.frames() == []


async def test_a_send_that_waits_behind_another_expires_without_a_frame(server: WhatsAppServer, linked: Linked) -> None:
    await linked.account.send(linked.ana_jid, message_id(), "first")
    server.faults.hold_acks(times=1)
    silent = asyncio.create_task(linked.account.send(linked.ana_jid, message_id(2), "silent", timeout_s=2.0))
    await server.until(lambda: server.frames(id=message_id(2)))
    expired = await linked.account.send(linked.ana_jid, message_id(3), "too late", within_s=0.5)
    assert expired.outcome == Outcome.EXPIRED
    assert (await silent).outcome == Outcome.UNKNOWN
    assert (await linked.account.send(linked.ana_jid, message_id(4), "next")).outcome == Outcome.SENT
    assert server.frames(id=message_id(3)) == []


async def test_a_question_that_is_answered_too_late_leaves_no_frame(server: WhatsAppServer, linked: Linked) -> None:
    """Who is written to for the first time is asked about first: that must end in time, and prove that nothing has left."""
    muted = server.faults.mute("usync")
    began = time.monotonic()
    expired = await linked.account.send(linked.ana_jid, message_id(), "hello", within_s=0.7)
    assert expired.outcome == Outcome.EXPIRED
    assert time.monotonic() - began < 1.5
    muted.end()
    assert (await linked.account.send(linked.ana_jid, message_id(2), "hello")).outcome == Outcome.SENT
    assert server.frames(id=message_id()) == []


async def test_an_unanswered_question_ends_not_sent_at_the_deadline(server: WhatsAppServer, linked: Linked) -> None:
    muted = server.faults.mute("usync")
    failed = await linked.account.send(linked.ana_jid, message_id(), "hello", timeout_s=1.5)
    assert (failed.outcome, failed.reason) == (Outcome.NOT_SENT, "timeout")
    muted.end()
    assert server.frames() == []


async def test_a_silent_send_holds_the_others_no_longer_than_its_deadline(
    server: WhatsAppServer, linked: Linked
) -> None:
    bea = server.add_contact("+40744444444", "Bea")
    server.faults.hold_acks(contact=linked.ana)
    silent = asyncio.create_task(linked.account.send(linked.ana_jid, message_id(), "hello", timeout_s=1.5))
    await server.until(lambda: server.frames(id=message_id()))
    began = time.monotonic()
    assert (await linked.account.send(str(bea.number_jid), message_id(2), "hello")).outcome == Outcome.SENT
    assert time.monotonic() - began < 2.0
    assert (await silent).outcome == Outcome.UNKNOWN
    server.faults.clear()


async def test_a_connection_lost_before_the_ack_leaves_the_outcome_unknown_or_proven(
    server: WhatsAppServer, linked: Linked
) -> None:
    server.faults.drop_at_frame()
    ended = await linked.account.send(linked.ana_jid, message_id(), "hello")
    assert ended.outcome in (Outcome.UNKNOWN, Outcome.SENT)
    assert len(linked.ana.inbox) == 1


async def test_a_connection_that_stays_lost_holds_a_send_no_longer_than_its_deadline(
    server: WhatsAppServer, linked: Linked
) -> None:
    """whatsmeow waits five seconds for another connection, whatever the send's own time."""
    refused = server.faults.refuse_connections()
    server.faults.drop_at_frame()
    ended = await linked.account.send(linked.ana_jid, message_id(), "hello", timeout_s=2.0)
    assert ended.outcome == Outcome.UNKNOWN
    refused.end()
    await linked.account.until_state(State.CONNECTED, after=3)
    assert (await linked.account.send(linked.ana_jid, message_id(), "hello")).outcome == Outcome.SENT
    assert len(linked.ana.inbox) == 1


async def test_without_a_connection_nothing_leaves(server: WhatsAppServer, linked: Linked) -> None:
    refused = server.faults.refuse_connections()
    server.faults.drop(linked.device)
    await linked.account.until_state(State.RECONNECTING)
    ended = await linked.account.send(linked.ana_jid, message_id(), "hello")
    assert ended.outcome == Outcome.NOT_CONNECTED
    refused.end()
    await linked.account.until_state(State.CONNECTED, after=3)
    assert server.frames() == []


async def test_a_frame_that_its_recipient_cannot_read_is_sent_again_after_a_restart(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    await linked.account.send(linked.ana_jid, message_id(), "hello")
    server.faults.unreadable(linked.ana)
    await linked.account.send(linked.ana_jid, message_id(2), "in two tries")
    await server.until(lambda: linked.ana.find_shown(linked.phone.number, message_id(2)))


async def test_a_closed_sessions_sends_end(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.hold_acks()
    sends = [
        asyncio.create_task(linked.account.send(linked.ana_jid, message_id(number), "hello")) for number in range(3)
    ]
    await server.until(lambda: server.frames())
    await linked.account.close()
    outcomes = [(await send).outcome for send in sends]
    assert sorted(outcomes) == sorted([Outcome.UNKNOWN, Outcome.NOT_CONNECTED, Outcome.NOT_CONNECTED])
    assert len(server.frames()) == 1
    server.faults.clear()


@pytest.mark.parametrize(
    ("chat", "text", "whatsapp_id"),
    [
        ("", "hello", "3EB0"),
        ("40722222222", "hello", "3EB0"),
        ("123-456@g.us", "hello", "3EB0"),
        ("40722222222@s.whatsapp.net", "", "3EB0"),
        ("40722222222@s.whatsapp.net", "hello", ""),
    ],
)
async def test_a_malformed_send_is_refused(linked: Linked, chat: str, text: str, whatsapp_id: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await linked.account.send(chat, whatsapp_id, text)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_receipt_for_a_send_names_the_person_by_both_names(linked: Linked) -> None:
    await linked.account.send(linked.ana_jid, message_id(), "hello")
    await linked.account.until(lambda: linked.account.receipts, "the receipt")
    receipt = linked.account.receipts[0]
    assert {receipt.chat_jid, receipt.chat_other_jid} == {linked.ana_jid, str(linked.ana.lid)}


async def test_a_contact_whose_receipts_name_only_the_lid_is_known_by_its_number(
    server: WhatsAppServer, linked: Linked
) -> None:
    """The mapping was learnt when the number was written to."""
    bea = server.add_contact("+40744444444", "Bea", addressing="lid_only")
    await linked.account.send(str(bea.number_jid), message_id(), "hello")
    await linked.account.until(lambda: linked.account.receipts, "the receipt")
    receipt = linked.account.receipts[0]
    assert (receipt.chat_jid, receipt.chat_other_jid) == (str(bea.lid), str(bea.number_jid))


async def test_reading_is_told_to_the_contact(server: WhatsAppServer, linked: Linked) -> None:
    written = [await linked.ana.send(linked.phone, text) for text in ("one", "two")]
    await linked.account.until_message("two")
    request = pb.MarkReadRequest(
        session=linked.account.session, chat_jid=linked.ana_jid, whatsapp_ids=[message.id for message in written]
    )
    await linked.account.stub.MarkRead(request)
    seen = await server.until(lambda: server.receipts)
    assert [(receipt.ids, receipt.kind) for receipt in seen] == [(tuple(message.id for message in written), "read")]


async def test_a_number_can_be_looked_up(linked: Linked) -> None:
    async def look(phone: str) -> pb.IsOnWhatsAppResponse:
        request = pb.IsOnWhatsAppRequest(session=linked.account.session, phone_e164=phone)
        response: pb.IsOnWhatsAppResponse = await linked.account.stub.IsOnWhatsApp(request)
        return response

    found = await look(linked.ana.number)
    assert (found.registered, found.jid) == (True, str(linked.ana.lid))
    assert not (await look("+40799999999")).registered
