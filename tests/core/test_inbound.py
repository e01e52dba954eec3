from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import inbound
from core.delivery import Delivery
from core.errors import ErrorCode
from core.ids import RequestId, WaMessageId
from core.inbound import MessageReceived, NotUnderstood, Plan, ReceiptReceived, Row
from core.message import StoredMessage
from core.moment import Moment
from core.thread import Thread

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHAT = "40712345678@s.whatsapp.net"
THREAD = f"shop_{CHAT}"
DAY_S = 24 * 3600.0


def message_row(key: str = "A1-in", **changes: Any) -> dict[str, Any]:
    payload = {"kind": "text", "text": "hello", "fromMe": False, "pushName": "Ana"} | changes.pop("payload", {})
    row = {
        "accountId": "shop",
        "chatId": CHAT,
        "eventType": "message",
        "waMessageKey": key,
        "payload": payload,
        "timestamp": AT,
        "receivedAt": AT,
    }
    return row | changes


def receipt_row(target: str, value: str, **changes: Any) -> dict[str, Any]:
    return message_row(f"{target}-receipt-{value}", eventType="receipt", **changes) | {
        "payload": {"target": target, "delivery": value}
    }


def parsed(row: dict[str, Any]) -> Row:
    return inbound.parse_row(f"{THREAD}_{row['waMessageKey']}", row)


def planned(*rows: dict[str, Any], stored: dict[str, StoredMessage | None] | None = None, now: datetime = AT) -> Plan:
    messages = {WaMessageId(f"{THREAD}_{key}"): value for key, value in (stored or {}).items()}
    return inbound.plan([parsed(row) for row in rows], Thread(), messages, now, DAY_S)


def ours(delivery: Delivery) -> StoredMessage:
    return StoredMessage(delivery=delivery, request_id=RequestId("r1"))


def test_a_contacts_message_becomes_a_message_and_moves_the_thread() -> None:
    plan = planned(message_row())
    (document,) = plan.created.values()
    assert (document["direction"], document["text"], document["senderName"]) == ("in", "hello", "Ana")
    assert "delivery" not in document
    assert plan.thread_after is not None
    assert plan.thread_after.unread == 1
    assert plan.processed == [f"{THREAD}_A1-in"]


def test_a_message_that_stands_already_changes_nothing_but_its_row() -> None:
    plan = planned(message_row(), stored={"A1-in": StoredMessage(delivery=None, request_id=None)})
    assert (plan.created, plan.thread_after, len(plan.processed)) == ({}, Thread(), 1)


def test_a_message_typed_on_the_phone_is_ours_and_counts_as_a_reply() -> None:
    plan = planned(message_row(), message_row("B2", payload={"fromMe": True, "text": "on it"}))
    document = plan.created[WaMessageId(f"{THREAD}_B2")]
    assert (document["direction"], document["delivery"], document["senderUid"]) == ("out", "sent", None)
    assert plan.thread_after is not None
    assert (plan.thread_after.unread, plan.thread_after.last_message_preview) == (0, "hello")


def test_the_echo_of_our_own_send_proves_it_and_changes_nothing_else() -> None:
    plan = planned(message_row("3EB0", payload={"fromMe": True}), stored={"3EB0": ours(Delivery.QUEUED)})
    (change,) = plan.deliveries.values()
    assert (change.delivery, change.reopened) == (Delivery.SENT, None)
    assert (plan.created, plan.thread_after) == ({}, Thread())


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("queued", "delivered", "delivered"),
        ("sent", "delivered", "delivered"),
        ("delivered", "read", "read"),
        ("read", "delivered", None),
        ("delivered", "delivered", None),
        ("read", "sent", None),
        ("failed", "sent", "sent"),
    ],
)
def test_a_receipt_moves_delivery_forward_only(old: str, value: str, new: str | None) -> None:
    plan = planned(receipt_row("3EB0", value), stored={"3EB0": ours(Delivery(old))})
    assert [change.delivery for change in plan.deliveries.values()] == ([Delivery(new)] if new else [])
    assert len(plan.processed) == 1


def test_the_furthest_of_several_receipts_in_one_commit_wins_whatever_their_order() -> None:
    rows = [receipt_row("3EB0", "read"), receipt_row("3EB0", "delivered")]
    plan = planned(*rows, stored={"3EB0": ours(Delivery.SENT)})
    assert [change.delivery for change in plan.deliveries.values()] == [Delivery.READ]


def test_proof_for_a_failed_message_reopens_its_request() -> None:
    plan = planned(receipt_row("3EB0", "delivered"), stored={"3EB0": ours(Delivery.FAILED)})
    assert [change.reopened for change in plan.deliveries.values()] == ["r1"]


def waiting(delivery: Delivery, *, tried_at: datetime | None = None) -> StoredMessage:
    """A reply that was written at AT."""
    written = Moment(at=AT, received_at=AT)
    return StoredMessage(
        delivery=delivery, request_id=RequestId("r1"), text="our answer", written=written, tried_at=tried_at
    )


HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("stored", "row", "sent_at"),
    [
        (waiting(Delivery.QUEUED), receipt_row("3EB0", "read", timestamp=AT + HOUR), AT + HOUR + SECOND),
        (waiting(Delivery.QUEUED), receipt_row("3EB0", "sent", timestamp=AT - HOUR), AT),
        (waiting(Delivery.QUEUED), receipt_row("3EB0", "sent", timestamp=AT + 9 * HOUR), AT + 2 * HOUR),
        (
            waiting(Delivery.FAILED, tried_at=AT + timedelta(minutes=5)),
            receipt_row("3EB0", "delivered", timestamp=AT + HOUR),
            AT + timedelta(minutes=5),
        ),
        (
            waiting(Delivery.QUEUED),
            message_row("3EB0", payload={"fromMe": True}, timestamp=AT + HOUR),
            AT + HOUR + SECOND,
        ),
        (waiting(Delivery.SENT), receipt_row("3EB0", "read", timestamp=AT + HOUR), None),
    ],
    ids=["receipt", "its clock is behind", "its clock is ahead", "given up", "echo", "sent already"],
)
def test_the_first_proof_that_a_message_left_gives_it_its_time(
    stored: StoredMessage, row: dict[str, Any], sent_at: datetime | None
) -> None:
    """WhatsApp cuts its times to seconds: only the end of the second is not before the message left."""
    plan = planned(row, receipt_row("3EB0", "read"), stored={"3EB0": stored}, now=AT + 2 * HOUR)
    (change,) = plan.deliveries.values()
    assert (change.delivery, change.sent_at) == (Delivery.READ, sent_at)
    assert change.fields.get("timestamp") == sent_at


def test_late_proof_makes_a_reply_count_again_and_its_receipt_needs_the_thread() -> None:
    stored = waiting(Delivery.FAILED, tried_at=AT)
    plan = planned(receipt_row("3EB0", "sent"), stored={"3EB0": stored})
    assert plan.thread_after is not None
    assert (plan.thread_after.replied, plan.thread_after.last_message_preview) == (stored.written, "our answer")
    row = parsed(receipt_row("3EB0", "sent"))
    assert isinstance(row, ReceiptReceived)
    assert inbound.moves_thread(row, stored, AT)
    assert not inbound.moves_thread(row, waiting(Delivery.QUEUED), AT)


def test_a_reply_and_a_newer_question_of_one_commit_are_counted_from_what_it_creates() -> None:
    question = message_row("A1-in", timestamp=AT + HOUR, receivedAt=AT)
    plan = planned(question, message_row("B2", payload={"fromMe": True}, timestamp=AT, receivedAt=AT + HOUR))
    assert plan.thread_after is not None
    assert (plan.thread_after.unread, [moment.at for moment in plan.contact_wrote]) == (None, [AT + HOUR])


def test_an_early_receipt_waits_and_gives_up_after_a_day() -> None:
    row = receipt_row("3EB0", "read")
    assert planned(row).waiting == [f"{THREAD}_3EB0-receipt-read"]
    late = planned(row, now=AT + timedelta(days=1, seconds=1))
    assert [refused.code for refused in late.refused] == [ErrorCode.MESSAGE_MISSING]
    assert late.waiting == []


def test_a_receipt_in_the_same_commit_as_its_message_is_not_early() -> None:
    plan = planned(message_row("B2", payload={"fromMe": True}), receipt_row("B2", "delivered"))
    assert plan.created[WaMessageId(f"{THREAD}_B2")]["delivery"] == "delivered"
    assert plan.waiting == []


def test_a_receipt_for_a_contacts_message_changes_nothing() -> None:
    plan = planned(receipt_row("A1-in", "read"), stored={"A1-in": StoredMessage(delivery=None, request_id=None)})
    assert (plan.deliveries, len(plan.processed)) == ({}, 1)


BAD_ROWS: list[tuple[dict[str, Any], ErrorCode, str]] = [
    ({"accountId": "a/b"}, ErrorCode.INVALID_EVENT, "accountId"),
    ({"accountId": None}, ErrorCode.INVALID_EVENT, "accountId"),
    ({"chatId": "invalid-00"}, ErrorCode.INVALID_EVENT, "chatId"),
    ({"waMessageKey": "other"}, ErrorCode.INVALID_EVENT, "row's id"),
    ({"receivedAt": "today"}, ErrorCode.INVALID_EVENT, "receivedAt"),
    ({"timestamp": None}, ErrorCode.INVALID_EVENT, "timestamp"),
    ({"payload": "x"}, ErrorCode.INVALID_EVENT, "payload"),
    ({"payload": {"kind": "text", "text": 5, "fromMe": False}}, ErrorCode.INVALID_EVENT, "payload.text"),
    ({"payload": {"kind": "text", "text": "x", "fromMe": "no"}}, ErrorCode.INVALID_EVENT, "payload.fromMe"),
    ({"payload": {"kind": "text", "text": "x", "fromMe": True}}, ErrorCode.INVALID_EVENT, "-in"),
    ({"payload": {"kind": "", "text": None, "fromMe": False}}, ErrorCode.INVALID_EVENT, "payload.kind"),
    ({"payload": {"kind": "image", "text": 5, "fromMe": False}}, ErrorCode.INVALID_EVENT, "payload.text"),
    ({"payload": {"kind": "hologram", "text": None, "fromMe": False}}, ErrorCode.EVENT_TYPE_UNKNOWN, "kind"),
    ({"eventType": "call"}, ErrorCode.EVENT_TYPE_UNKNOWN, "eventType"),
    ({"eventType": "receipt", "payload": {"delivery": "played"}}, ErrorCode.INVALID_EVENT, "payload.delivery"),
]


@pytest.mark.parametrize(("changes", "code", "names"), BAD_ROWS)
def test_a_row_that_cannot_be_understood_says_what_is_wrong(
    changes: dict[str, Any], code: ErrorCode, names: str
) -> None:
    row = {**message_row(), **changes}
    result = inbound.parse_row(f"{THREAD}_A1-in", row)
    assert isinstance(result, NotUnderstood)
    assert result.code is code
    assert names in result.detail


@pytest.mark.parametrize(
    "missing", ["accountId", "chatId", "waMessageKey", "receivedAt", "payload", "eventType", "timestamp"]
)
def test_a_row_that_lacks_a_field_is_a_value_not_an_exception(missing: str) -> None:
    row = message_row()
    del row[missing]
    assert isinstance(inbound.parse_row(f"{THREAD}_A1-in", row), NotUnderstood)


def test_good_rows_parse_to_their_event() -> None:
    assert isinstance(parsed(message_row()), MessageReceived)
    assert isinstance(parsed(receipt_row("3EB0", "read")), ReceiptReceived)
