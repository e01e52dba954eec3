"""What each engine event becomes in the ingest log."""

from datetime import UTC, datetime
from typing import Any

import pytest

import core.content
from connector import metrics
from connector.arrival import ArrivalOrder
from connector.contract import engine_pb2 as pb
from connector.events import WalRow, awaited_row, is_of_group, wal_rows
from core.ids import AccountId, document_id

ACCOUNT = AccountId("shop")
NUMBER = "40712345678@s.whatsapp.net"
LID = "123456789012345@lid"
GROUP = "120363000000000000@g.us"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def rows(event: pb.Event) -> list[WalRow]:
    return wal_rows(ACCOUNT, event, ArrivalOrder(last_received_at=datetime(2026, 1, 1, tzinfo=UTC)), NOW)


def message(**fields: object) -> pb.Event:
    content = {} if "unsupported" in fields or "text" in fields else {"text": "hello"}
    given = {"whatsapp_id": "3A01", "chat_jid": NUMBER, "timestamp_s": 1772366399} | content | fields
    return pb.Event(sequence=1, wire=b"wire", message=pb.MessageReceived(**given))  # type: ignore[arg-type] # a test's fields


def receipt(ids: list[str], kind: int = pb.ReceiptReceived.READ, chat: str = NUMBER) -> pb.Event:
    received = pb.ReceiptReceived(whatsapp_ids=ids, chat_jid=chat, timestamp_s=1772366399)
    received.type = kind  # type: ignore[assignment] # also kinds that the contract does not know
    return pb.Event(sequence=1, wire=b"wire", receipt=received)


def test_a_contacts_text_is_one_row_as_the_contract_says() -> None:
    (row,) = rows(message(push_name="Ana", chat_other_jid=LID))
    assert row.event_id == f"shop_{LID}_3A01-in"
    assert row.document == {
        "accountId": "shop",
        "chatId": LID,
        "eventType": "message",
        "waMessageKey": "3A01-in",
        "payload": {
            "kind": "text",
            "text": "hello",
            "fromMe": False,
            "pushName": "Ana",
            "whatsappId": "3A01",
            "chatJid": NUMBER,
            "chatOtherJid": LID,
            "timestampS": 1772366399,
            "wire": b"wire",
        },
        "receivedAt": NOW,
        "timestamp": datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC),
        "processed": False,
        "processedAt": None,
        "processAttempts": 0,
        "lastProcessError": None,
    }


def test_a_message_of_our_own_keeps_its_whatsapp_id_as_its_key() -> None:
    (row,) = rows(message(from_me=True))
    assert (row.key, row.document["payload"]["fromMe"]) == ("3A01", True)


def test_a_chat_under_its_number_is_the_lids_chat_where_that_is_known() -> None:
    (known,) = rows(message(chat_jid=NUMBER, chat_other_jid=LID))
    (unknown,) = rows(message(chat_jid=NUMBER))
    assert (known.document["chatId"], unknown.document["chatId"]) == (LID, NUMBER)


def payload_of(**fields: object) -> dict[str, Any]:
    (row,) = rows(message(**fields))
    payload: dict[str, Any] = row.document["payload"]
    return payload


def test_a_kind_that_the_engine_does_not_know_keeps_its_name_and_is_counted() -> None:
    def counted() -> float:
        return float(metrics.UNSUPPORTED.labels("musicMessage")._value.get())

    before = counted()
    payload = payload_of(unsupported="musicMessage")
    assert (payload["kind"], payload["text"], payload["unsupportedType"]) == ("unsupported", None, "musicMessage")
    assert payload["wire"] == b"wire"
    assert counted() == before + 1


def test_a_call_that_an_engine_of_version_2_left_in_its_inbox_is_a_call() -> None:
    assert payload_of(unsupported="call")["kind"] == "call"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"media": pb.Media(type=pb.Media.IMAGE, caption="our house")}, "Photo: our house"),
        ({"media": pb.Media(type=pb.Media.VOICE, seconds=14)}, "Voice message, 0:14"),
        ({"media": pb.Media(type=pb.Media.STICKER_PACK, file_name="Cats")}, "Sticker pack: Cats"),
        ({"location": pb.Location(latitude=44.4, longitude=26.1)}, "Location"),
        ({"contacts": pb.Contacts(cards=[pb.Contacts.Card(name="Ana", vcard="x")])}, "Contact: Ana"),
        ({"poll": pb.Poll(question="When?", options=["Now"])}, "Poll: When?"),
        ({"note": pb.Note(kind="viewOnce")}, "View-once message: open it on the phone"),
        ({"note": pb.Note(kind="edit", text="better", target_id="3A01")}, "Edited: better"),
        ({"text": "hello"}, "hello"),
    ],
)
def test_the_functions_read_each_content_from_its_row(content: dict[str, Any], line: str) -> None:
    fields = {"text": None} | content
    given = {name: value for name, value in fields.items() if value is not None}
    event = pb.Event(
        sequence=1, message=pb.MessageReceived(whatsapp_id="3A01", chat_jid=NUMBER, timestamp_s=1, **given)
    )
    (row,) = rows(event)
    assert core.content.line(core.content.parse(row.document["payload"])) == line


def test_each_type_of_file_has_its_own_kind() -> None:
    types = [number for name, number in pb.Media.Type.items() if name != "TYPE_UNSPECIFIED"]
    kinds = {payload_of(media=pb.Media(type=number), text=None)["kind"] for number in types}
    assert kinds == set(core.content.MEDIA_WORDS)


def test_a_row_has_what_is_needed_to_fetch_the_file() -> None:
    media = pb.Media(
        type=pb.Media.IMAGE, direct_path="/v/t62?oe=1", media_key=b"key", sha256=b"\1", encrypted_sha256=b"\2"
    )
    payload = payload_of(media=media, text=None)["media"]
    assert (payload["directPath"], payload["mediaKey"]) == ("/v/t62?oe=1", b"key")
    assert (payload["sha256"], payload["encryptedSha256"]) == ("01", b"\2")


def test_members_of_a_group_who_choose_one_id_have_rows_of_their_own() -> None:
    def written_by(jid: str, other: str = "") -> WalRow:
        (row,) = rows(message(chat_jid=GROUP, sender=pb.Person(jid=jid, other_jid=other), chat_name="Customers"))
        return row

    ana, ion = written_by(LID), written_by("999999999999999@lid")
    assert ana.event_id != ion.event_id
    assert written_by(LID, NUMBER).event_id == written_by(NUMBER, LID).event_id
    assert ana.key.startswith("3A01-")
    assert ana.key.endswith("-in")
    assert (ana.document["chatId"], ana.document["payload"]["chatName"]) == (GROUP, "Customers")
    assert ana.document["payload"]["senderChatId"] == LID


def test_an_own_message_in_a_group_has_its_whatsapp_id_as_its_key() -> None:
    (row,) = rows(message(chat_jid=GROUP, from_me=True, sender=pb.Person(jid=LID)))
    assert row.key == "3A01"


def test_a_message_that_is_awaited_in_a_group_has_the_row_that_it_will_have() -> None:
    sender = pb.Person(jid=LID)
    (row,) = rows(message(chat_jid=GROUP, sender=sender))
    awaited = pb.MessageAwaited(whatsapp_id="3A01", chat_jid=GROUP, sender=sender)
    assert awaited_row(ACCOUNT, awaited) == row.event_id


def test_what_stands_beside_the_content_is_kept() -> None:
    context = pb.Context(quoted_id="3A00", expiration_s=604800, mentions=[pb.Person(jid=LID)])
    assert payload_of(context=context)["context"] == {"quotedId": "3A00", "expirationS": 604800, "mentions": [LID]}
    assert "context" not in payload_of()


def test_what_is_of_a_group_is_told() -> None:
    assert is_of_group(message(chat_jid=GROUP))
    assert is_of_group(pb.Event(awaited=pb.MessageAwaited(chat_jid=GROUP)))
    assert not is_of_group(message())
    assert not is_of_group(pb.Event(session=pb.SessionChanged()))


def test_a_receipt_about_several_messages_is_a_row_for_each() -> None:
    found = rows(receipt(["3EB01", "3EB02", "3EB01"]))
    assert [row.key for row in found] == ["3EB01-receipt-read", "3EB02-receipt-read"]
    assert [row.document["payload"]["target"] for row in found] == ["3EB01", "3EB02"]
    assert found[0].received_at < found[1].received_at


@pytest.mark.parametrize(
    ("kind", "delivery"),
    [
        (pb.ReceiptReceived.SENT, "sent"),
        (pb.ReceiptReceived.DELIVERED, "delivered"),
        (pb.ReceiptReceived.READ, "read"),
        (17, "type_17"),
    ],
)
def test_a_receipts_type_stands_in_key_and_payload(kind: int, delivery: str) -> None:
    (row,) = rows(receipt(["3EB01"], kind))
    assert (row.document["eventType"], row.key) == ("receipt", f"3EB01-receipt-{delivery}")
    assert row.document["payload"]["delivery"] == delivery


@pytest.mark.parametrize("jid", ["", "status@broadcast", "not a/jid@x", "x" * 3000])
def test_a_message_of_a_chat_that_is_none_is_kept_under_a_safe_id(jid: str) -> None:
    (row,) = rows(message(chat_jid=jid))
    assert row.document["chatId"].startswith("invalid-")
    assert row.document["payload"]["chatJid"] == jid
    assert document_id(row.event_id) == row.event_id


@pytest.mark.parametrize("whatsapp_id", ["", "a/b", "..", "é" * 900])
def test_a_whatsapp_id_that_no_document_can_carry_is_kept_in_the_payload(whatsapp_id: str) -> None:
    (row,) = rows(message(whatsapp_id=whatsapp_id))
    assert row.document["payload"]["whatsappId"] == whatsapp_id
    assert document_id(row.event_id) == row.event_id


@pytest.mark.parametrize("event", [pb.Event(sequence=7, wire=b"new kind"), receipt([])])
def test_an_event_that_says_nothing_we_understand_is_kept_whole(event: pb.Event) -> None:
    (row,) = rows(event)
    assert pb.Event.FromString(row.document["payload"]["event"]) == event
    assert row.document["eventType"] in ("unknown", "receipt")


@pytest.mark.parametrize(
    "event", [message(), message(chat_jid="?"), message(whatsapp_id="a/b"), receipt(["1", "2"]), pb.Event(wire=b"?")]
)
def test_the_same_event_meets_its_own_rows_again(event: pb.Event) -> None:
    assert [row.event_id for row in rows(event)] == [row.event_id for row in rows(event)]


def test_what_the_phone_has_shown_is_one_row_however_many_messages_it_names() -> None:
    def read(ids: list[str], timestamp_s: int = 1772366399) -> WalRow:
        event = receipt(ids, pb.ReceiptReceived.READ_ON_PHONE)
        event.receipt.timestamp_s = timestamp_s
        (row,) = rows(event)
        return row

    row = read(["3A01", "3A02"])
    assert (row.document["eventType"], row.document["chatId"]) == ("read", NUMBER)
    assert row.document["payload"]["whatsappIds"] == ["3A01", "3A02"]
    assert read(["3A01", "3A02"]).event_id == row.event_id
    assert read(["3A01", "3A02"], 1772366400).event_id != row.event_id
    assert read(["3A01"]).event_id != row.event_id
