"""Promise 1: what WhatsApp was told is received stands in the store, and comes to the connector until it is acknowledged."""

import resource
import time
from pathlib import Path

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.engine.running import PATIENCE_S, Account, RunningEngine, State, locked
from tests.waiting import stays_so
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.protobufs import e2e


async def test_a_text_comes_with_both_names_of_its_sender(linked: Linked) -> None:
    written = await linked.ana.send(linked.phone, "hello")
    message = await linked.account.until_message("hello")
    assert message.whatsapp_id == written.id
    assert (message.chat_jid, message.chat_other_jid) == (str(linked.ana.number_jid), str(linked.ana.lid))
    assert (message.from_me, message.push_name, message.timestamp_s) == (False, "Ana", written.timestamp_s)


async def test_the_wire_bytes_are_the_message_as_it_was_encrypted(linked: Linked) -> None:
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")
    event = next(event for event in linked.account.events if event.WhichOneof("kind") == "message")
    assert e2e.Message.FromString(event.wire).conversation == "hello"


async def test_events_that_were_not_acknowledged_come_again_in_order(linked: Linked, engine: RunningEngine) -> None:
    linked.account.acknowledges = False
    for number in range(5):
        await linked.ana.send(linked.phone, f"text {number}")
    await linked.account.until_message("text 4")
    sequences = [event.sequence for event in linked.account.events if event.sequence]
    assert sequences == [1, 2, 3, 4, 5]
    await linked.account.acknowledge(2)
    await engine.kill()
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.until_message("text 4")
    assert account.texts() == ["text 2", "text 3", "text 4"]
    assert [event.sequence for event in account.events if event.sequence] == [3, 4, 5]


async def test_sequences_go_on_after_a_restart_although_all_was_acknowledged(
    linked: Linked, engine: RunningEngine
) -> None:
    await linked.ana.send(linked.phone, "before")
    await linked.account.until_message("before")
    await linked.account.acknowledge(1)
    await engine.kill()
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await linked.ana.send(linked.phone, "after")
    await account.until_message("after")
    assert [event.sequence for event in account.events if event.sequence] == [2]


async def test_a_second_stream_ends_the_first_and_begins_with_the_present_state(linked: Linked) -> None:
    first, second = linked.account, linked.account.engine.account("shop")
    await second.follow()
    await first.until(lambda: first.stream_ended, "the first stream's end")
    await second.connected()
    await linked.ana.send(linked.phone, "hello")
    await second.until_message("hello")
    assert first.messages == []


async def test_what_was_never_handed_over_cannot_be_acknowledged(linked: Linked) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await linked.account.acknowledge(7)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_whatsapp_is_told_that_a_message_was_taken(server: WhatsAppServer, linked: Linked) -> None:
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")
    await linked.device.caught_up()


async def test_what_came_while_the_engine_was_away_comes_in_order(linked: Linked, engine: RunningEngine) -> None:
    await engine.kill()
    for number in range(30):
        await linked.ana.send(linked.phone, f"text {number}")
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.until_message("text 29")
    assert account.texts() == [f"text {number}" for number in range(30)]


async def test_an_extended_text_is_a_text(linked: Linked) -> None:
    message = e2e.Message()
    message.extendedTextMessage.text = "with a preview"
    await linked.ana.send_message(linked.phone, message)
    await linked.account.until_message("with a preview")


async def test_a_picture_comes_with_its_caption_and_what_its_file_is_fetched_with(linked: Linked) -> None:
    message = e2e.Message()
    picture = message.ephemeralMessage.message.imageMessage
    picture.caption, picture.mimetype, picture.directPath, picture.mediaKey = (
        "a picture",
        "image/jpeg",
        "/v/t62",
        b"key",
    )
    await linked.ana.send_message(linked.phone, message)
    await linked.account.until(lambda: linked.account.messages, "the message")
    media = linked.account.messages[0].media
    assert (media.type, media.caption, media.mime_type) == (pb.Media.IMAGE, "a picture", "image/jpeg")
    assert (media.direct_path, media.media_key) == ("/v/t62", b"key")


async def test_what_may_be_seen_once_comes_without_content_and_wire_bytes(linked: Linked) -> None:
    message = e2e.Message()
    message.viewOnceMessageV2.message.imageMessage.caption = "only once"
    await linked.ana.send_message(linked.phone, message)
    await linked.account.until(lambda: linked.account.messages, "the message")
    assert linked.account.messages[0].note == pb.Note(kind="viewOnce")
    event = next(event for event in linked.account.events if event.WhichOneof("kind") == "message")
    assert event.wire == b""


async def test_what_only_the_phone_may_show_is_told_and_nothing_is_awaited(linked: Linked) -> None:
    """The phone never hands it over, so a gap would stand for ever."""
    shown_once = linked.ana.send_view_once(linked.phone)
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    first = linked.account.messages[0]
    assert (first.whatsapp_id, first.note, first.push_name) == (shown_once, pb.Note(kind="viewOnce"), "Ana")
    assert [event for event in linked.account.events if event.WhichOneof("kind") == "awaited"] == []
    await linked.device.caught_up()


async def test_what_holds_nothing_is_acknowledged_and_no_event(linked: Linked) -> None:
    for nothing in (e2e.Message(), e2e.Message(conversation=""), e2e.Message(messageContextInfo={})):
        await linked.ana.send_message(linked.phone, nothing)
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    assert linked.account.texts() == ["after it"]
    await linked.device.caught_up()


async def test_a_disappearing_text_is_a_text(linked: Linked) -> None:
    message = e2e.Message()
    message.ephemeralMessage.message.conversation = "soon gone"
    await linked.ana.send_message(linked.phone, message)
    await linked.account.until_message("soon gone")


async def test_text_that_is_not_utf8_neither_fails_nor_poisons(linked: Linked) -> None:
    wire = b"\x0a\x06hello\xff"  # field 1, conversation, with a byte that begins no character
    await linked.ana.send_message(linked.phone, wire)
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    assert linked.account.texts() == ["hello�", "after it"]
    event = next(event for event in linked.account.events if event.WhichOneof("kind") == "message")
    assert wire in event.wire


async def test_a_message_without_anything_known_is_kept(linked: Linked) -> None:
    await linked.ana.send_message(linked.phone, b"\xfa\xff\x7f\x03abc")  # a field of a protocol to come
    await linked.account.until(lambda: linked.account.messages, "the message")
    assert linked.account.messages[0].unsupported == "unknown"


async def test_a_call_comes_as_a_message_of_its_kind(server: WhatsAppServer, linked: Linked) -> None:
    await linked.ana.send(linked.phone, "may I call?")  # from here on both names are known
    call_id = linked.ana.call(linked.phone)
    await linked.account.until(lambda: len(linked.account.messages) == 2, "the call")
    call = linked.account.messages[1]
    assert (call.whatsapp_id, call.note.kind) == (call_id, "call")
    assert (call.chat_jid, call.chat_other_jid) == (str(linked.ana.number_jid), str(linked.ana.lid))
    await linked.device.caught_up()


@pytest.mark.parametrize("in_secret", [False, True])
async def test_what_the_phone_has_shown_is_told(linked: Linked, in_secret: bool) -> None:
    ids = [(await linked.ana.send(linked.phone, f"text {number}")).id for number in range(2)]
    await linked.account.until_message("text 1")
    linked.phone.look_at(linked.ana, ids, in_secret=in_secret)
    await linked.account.until(lambda: linked.account.receipts, "the receipt")
    (receipt,) = linked.account.receipts
    assert (receipt.type, list(receipt.whatsapp_ids)) == (pb.ReceiptReceived.READ_ON_PHONE, ids)
    assert {receipt.chat_jid, receipt.chat_other_jid} == {str(linked.ana.lid), str(linked.ana.number_jid)}
    await linked.device.caught_up()


async def test_what_was_typed_on_the_phone_comes_as_the_accounts_own(linked: Linked) -> None:
    written = await linked.phone.write(linked.ana, "from the phone")
    message = await linked.account.until_message("from the phone")
    assert (message.whatsapp_id, message.from_me) == (written.id, True)
    assert {message.chat_jid, message.chat_other_jid} == {str(linked.ana.number_jid), str(linked.ana.lid)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("delivered", pb.ReceiptReceived.DELIVERED),
        ("inactive", pb.ReceiptReceived.DELIVERED),
        ("read", pb.ReceiptReceived.READ),
        ("played", pb.ReceiptReceived.READ),
    ],
)
async def test_a_receipt_says_how_far_messages_have_come(
    linked: Linked, kind: str, expected: "pb.ReceiptReceived.Type.ValueType"
) -> None:
    linked.ana.receipt(linked.phone, ["3EB0AA", "3EB0BB"], kind)  # type: ignore[arg-type]  # parametrized
    await linked.account.until(lambda: linked.account.receipts, "the receipt")
    receipt = linked.account.receipts[0]
    assert (list(receipt.whatsapp_ids), receipt.type) == (["3EB0AA", "3EB0BB"], expected)
    event = next(event for event in linked.account.events if event.WhichOneof("kind") == "receipt")
    assert event.wire
    assert event.sequence


async def test_receipts_that_say_nothing_about_a_person_are_only_answered(
    server: WhatsAppServer, linked: Linked
) -> None:
    linked.ana.receipt(linked.phone, ["3EB0AA"], "sender")
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    assert linked.account.receipts == []
    await linked.device.caught_up()


async def test_a_contacts_repeated_id_comes_twice(linked: Linked) -> None:
    """It is another message to its sender: telling them apart is the connector's."""
    await linked.ana.send(linked.phone, "first", id="SAME")
    await linked.ana.send(linked.phone, "second", id="SAME")
    await linked.account.until_message("second")
    assert [(message.whatsapp_id, message.text) for message in linked.account.messages] == [
        ("SAME", "first"),
        ("SAME", "second"),
    ]


async def test_the_same_stanza_twice_comes_once(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.duplicate_delivery(contact=linked.ana)
    await linked.ana.send(linked.phone, "once")
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    assert linked.account.texts() == ["once", "after it"]
    await linked.device.caught_up()


async def test_a_message_that_cannot_be_decrypted_comes_when_it_is_sent_again(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    server.faults.corrupt_next(linked.ana)
    written = await linked.ana.send(linked.phone, "in two tries")
    message = await linked.account.until_message("in two tries")
    assert message.whatsapp_id == written.id
    assert len(linked.account.messages) == 1, "nothing may come under its id before the message itself"
    assert any('"undecryptable"' in line for line in engine.log)


async def test_a_placeholder_is_asked_from_the_phone(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.unavailable(linked.ana)
    written = await linked.ana.send(linked.phone, "for one look")
    message = await linked.account.until_message("for one look")
    assert message.whatsapp_id == written.id
    assert {message.chat_jid, message.chat_other_jid} == {str(linked.ana.number_jid), str(linked.ana.lid)}


async def test_a_message_that_its_sender_does_not_send_again_is_asked_from_the_phone(
    server: WhatsAppServer, linked: Linked
) -> None:
    server.faults.corrupt_next(linked.ana, answers=False)
    written = await linked.ana.send(linked.phone, "from the phone's store")
    message = await linked.account.until_message("from the phone's store")
    assert message.whatsapp_id == written.id


async def test_a_backlog_larger_than_whatsmeows_queue_keeps_its_order(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    await engine.kill()
    total = 3000
    for number in range(total):
        await linked.ana.send(linked.phone, f"text {number}")
    await engine.start()
    account = engine.account("shop")
    account.acknowledges = False
    await account.open()
    await account.until(lambda: len(account.messages) >= total, "all messages", 60)
    assert account.texts() == [f"text {number}" for number in range(total)]
    assert not any("queue is full" in line for line in engine.log)
    await account.acknowledge(total)


async def test_a_locked_database_delays_a_message_and_loses_none(
    server: WhatsAppServer, linked: Linked, tmp_path: Path
) -> None:
    with locked(tmp_path / "sessions.db"):
        await linked.ana.send(linked.phone, "while it was locked")
        await stays_so(
            lambda: linked.account.messages == [] and len(linked.device.waiting) == 1, "nothing is taken", 1.0
        )
    await linked.account.until_message("while it was locked")
    await linked.device.caught_up()


async def test_a_database_that_stays_locked_gives_the_message_back_until_it_is_free(
    linked: Linked, tmp_path: Path, engine: RunningEngine
) -> None:
    account = await _impatient(linked, engine)
    with locked(tmp_path / "sessions.db"):
        await linked.ana.send(linked.phone, "for a long time")
        assert (await account.until_state(State.RECONNECTING)).reason == "store_failed"
        assert len(linked.device.waiting) == 1, "WhatsApp was told that a message is taken that stands nowhere"
        assert not any('"undecryptable"' in line for line in engine.log)
    await account.until_message("for a long time", 40)
    assert account.texts() == ["for a long time"]


async def test_a_full_disk_gives_the_message_back_until_there_is_room(linked: Linked, engine: RunningEngine) -> None:
    account = await _impatient(linked, engine)
    _, hard = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (0, hard))
    await linked.ana.send(linked.phone, "no room for it")
    assert (await account.until_state(State.RECONNECTING)).reason == "store_failed"
    assert len(linked.device.waiting) == 1, "WhatsApp was told that a message is taken that stands nowhere"
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (hard, hard))
    await account.until_message("no room for it", 40)
    assert account.texts() == ["no room for it"]


@pytest.mark.parametrize("what", ["call", "placeholder"])
async def test_what_whatsapp_will_not_hand_over_again_waits_for_the_database(
    server: WhatsAppServer, linked: Linked, tmp_path: Path, engine: RunningEngine, what: str
) -> None:
    """It counts as taken whatever its handler says."""
    await linked.ana.send(linked.phone, "before")  # whatever must be learnt of a contact is learnt
    await linked.account.until_message("before")
    account = await _impatient(linked, engine)
    with locked(tmp_path / "sessions.db"):
        if what == "call":
            linked.ana.call(linked.phone)
        else:
            server.faults.unavailable(linked.ana)
            await linked.ana.send(linked.phone, "for one look")
        several_patiences_s = 1.5
        await stays_so(lambda: set(account.texts()) <= {"before"}, "nothing is handed over", several_patiences_s)
    await account.until(lambda: set(account.texts()) - {"before"}, "the event", 40)


async def test_history_teaches_which_number_a_lid_belongs_to(server: WhatsAppServer, linked: Linked) -> None:
    bea = server.add_contact("+40744444444", "Bea", addressing="lid_only")
    await linked.phone.send_history(linked.device, mappings=[bea])
    await linked.device.caught_up()
    deadline = time.monotonic() + PATIENCE_S
    number = 0
    while time.monotonic() < deadline:
        number += 1
        await bea.send(linked.phone, f"hello {number}")
        message = await linked.account.until_message(f"hello {number}")
        assert message.chat_jid == str(bea.lid)
        if message.chat_other_jid:
            break
    assert message.chat_other_jid == str(bea.number_jid)


async def test_history_that_was_cut_off_at_its_handler_is_taken_after_the_restart(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    """WhatsApp may count it as taken before its handler runs, and never says it again."""
    bea = server.add_contact("+40744444444", "Bea", addressing="lid_only")
    await engine.kill()
    await engine.start(WIRE_DIE_AT="inbox.entry:1")
    await engine.account("shop").open()
    await linked.device.ready()
    await linked.phone.send_history(linked.device, mappings=[bea])
    await engine.gone()
    linked.device.waiting.__init__()  # type: ignore[misc]  # WhatsApp has forgotten it
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.connected()
    deadline, number = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < deadline:
        number += 1
        await bea.send(linked.phone, f"hello {number}")
        if (await account.until_message(f"hello {number}")).chat_other_jid:
            break
    assert account.messages[-1].chat_other_jid == str(bea.number_jid)


async def _impatient(linked: Linked, engine: RunningEngine) -> Account:
    """The account at an engine that gives a locked store up soon."""
    await engine.kill()
    await engine.start(WIRE_STORE_MS="300")
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await linked.device.ready()
    return account
