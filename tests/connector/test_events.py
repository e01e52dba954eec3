"""What each engine event becomes in the ingest log."""

from datetime import UTC, datetime

import pytest

from connector.arrival import ArrivalOrder
from connector.contract import engine_pb2 as pb
from connector.events import WalRow, wal_rows
from core.ids import AccountId, document_id

ACCOUNT = AccountId("shop")
NUMBER = "40712345678@s.whatsapp.net"
LID = "123456789012345@lid"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def rows(event: pb.Event) -> list[WalRow]:
    return wal_rows(ACCOUNT, event, ArrivalOrder(last_received_at=datetime(2026, 1, 1, tzinfo=UTC)), NOW)


def message(**fields: object) -> pb.Event:
    given = {"whatsapp_id": "3A01", "chat_jid": NUMBER, "text": "hello", "timestamp_s": 1772366399} | fields
    return pb.Event(sequence=1, wire=b"wire", message=pb.MessageReceived(**given))  # type: ignore[arg-type] # a test's fields


def receipt(ids: list[str], kind: int = pb.ReceiptReceived.READ, chat: str = NUMBER) -> pb.Event:
    received = pb.ReceiptReceived(whatsapp_ids=ids, chat_jid=chat, timestamp_s=1772366399)
    received.type = kind  # type: ignore[assignment] # also kinds that the contract does not know
    return pb.Event(sequence=1, wire=b"wire", receipt=received)


def test_a_contacts_text_is_one_row_as_the_contract_says() -> None:
    (row,) = rows(message(push_name="Ana", chat_other_jid=LID))
    assert row.event_id == f"shop_{NUMBER}_3A01-in"
    assert row.document == {
        "accountId": "shop",
        "chatId": NUMBER,
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


def test_a_chat_under_its_lid_is_the_numbers_chat_where_that_is_known() -> None:
    (known,) = rows(message(chat_jid=LID, chat_other_jid=NUMBER))
    (unknown,) = rows(message(chat_jid=LID))
    assert (known.document["chatId"], unknown.document["chatId"]) == (NUMBER, LID)


def test_another_kind_of_message_is_kept_under_its_name_without_text() -> None:
    event = message()
    event.message.unsupported = "imageMessage"
    (row,) = rows(event)
    assert (row.document["payload"]["kind"], row.document["payload"]["text"]) == ("imageMessage", None)


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
