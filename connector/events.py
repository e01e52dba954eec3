"""What an engine's event becomes in the ingest log: rows under deterministic ids, so that the same event always meets its own rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from connector.arrival import ArrivalOrder
from connector.content import content_fields, context_fields
from connector.content_key import content_key
from connector.contract import engine_pb2
from core.delivery import Delivery
from core.ids import (
    AccountId,
    ChatId,
    EventId,
    InvalidId,
    WaMessageKey,
    canonical_chat,
    chat_id,
    event_id,
    group_key,
    inbound_key,
    own_key,
    receipt_key,
    short_hash,
    thread_id,
)

_GROUP_SERVER = "@g.us"
_DELIVERIES = {
    engine_pb2.ReceiptReceived.SENT: str(Delivery.SENT),
    engine_pb2.ReceiptReceived.DELIVERED: str(Delivery.DELIVERED),
    engine_pb2.ReceiptReceived.READ: str(Delivery.READ),
}


@dataclass(frozen=True, kw_only=True)
class WalRow:
    """One document of whatsapp_ingest."""

    event_id: EventId
    key: WaMessageKey
    received_at: datetime
    timestamp: datetime
    document: dict[str, Any]
    from_history: bool = False
    """It was asked for, and may have come before."""

    @cached_property
    def content_key(self) -> bytes:
        """The same for rows that say the same under one id."""
        return content_key(self.event_id, self.document["eventType"], self.document["payload"])


@dataclass(frozen=True, kw_only=True)
class _Draft:
    chat: ChatId
    event_type: str
    key: WaMessageKey
    timestamp_s: int
    payload: dict[str, Any]
    from_history: bool = False


def awaited_row(account: AccountId, message: engine_pb2.MessageAwaited) -> EventId:
    """The row that the message will have when it comes."""
    return event_id(thread_id(account, _chat(message.chat_jid, message.chat_other_jid)), _message_key(message))


def is_of_group(event: engine_pb2.Event) -> bool:
    """Whether an event is a message in a group, or a word about one."""
    kind = event.WhichOneof("kind")
    return kind in ("message", "awaited", "receipt") and getattr(event, kind).chat_jid.endswith(_GROUP_SERVER)


def wal_rows(account: AccountId, event: engine_pb2.Event, order: ArrivalOrder, now: datetime) -> list[WalRow]:
    """The rows of an event that must not be lost: at least one, whatever it holds."""
    return [_row(account, draft, order, now, event.sequence) for draft in _drafts(event)]


def _row(account: AccountId, draft: _Draft, order: ArrivalOrder, now: datetime, sequence: int) -> WalRow:
    received_at = order.received_at(now)
    timestamp = order.timestamp(draft.timestamp_s, received_at, sequence)
    return WalRow(
        event_id=event_id(thread_id(account, draft.chat), draft.key),
        key=draft.key,
        received_at=received_at,
        timestamp=timestamp,
        from_history=draft.from_history,
        document={
            "accountId": account,
            "chatId": draft.chat,
            "eventType": draft.event_type,
            "waMessageKey": draft.key,
            "payload": draft.payload,
            "receivedAt": received_at,
            "timestamp": timestamp,
            "processed": False,
            "processedAt": None,
            "processAttempts": 0,
            "lastProcessError": None,
            **({"fromHistory": True} if draft.from_history else {}),
        },
    )


def _drafts(event: engine_pb2.Event) -> Iterator[_Draft]:
    kind = event.WhichOneof("kind")
    if kind == "message":
        yield _message(event.message, event.wire)
    elif kind == "receipt" and event.receipt.type == engine_pb2.ReceiptReceived.READ_ON_PHONE:
        yield _read_on_phone(event.receipt, event.wire)
    elif kind == "receipt" and event.receipt.whatsapp_ids:
        yield from _receipts(event.receipt, event.wire)
    else:
        yield _not_understood(event)


def _message(message: engine_pb2.MessageReceived, wire: bytes) -> _Draft:
    return _Draft(
        chat=_chat(message.chat_jid, message.chat_other_jid),
        event_type="message",
        key=_message_key(message),
        timestamp_s=message.timestamp_s,
        from_history=message.from_history,
        payload={
            **content_fields(message),
            **_group_fields(message),
            **context_fields(message),
            "fromMe": message.from_me,
            "pushName": message.push_name or None,
            "whatsappId": message.whatsapp_id,
            "chatJid": message.chat_jid,
            "chatOtherJid": message.chat_other_jid,
            "timestampS": message.timestamp_s,
            "wire": wire,
        },
    )


def _message_key(message: engine_pb2.MessageReceived | engine_pb2.MessageAwaited) -> WaMessageKey:
    if message.from_me:
        return own_key(message.whatsapp_id)
    if message.HasField("sender"):
        return group_key(message.whatsapp_id, canonical_chat(message.sender.jid, message.sender.other_jid))
    return inbound_key(message.whatsapp_id)


def _group_fields(message: engine_pb2.MessageReceived) -> dict[str, Any]:
    if not message.HasField("sender"):
        return {}
    return {
        "chatName": message.chat_name or None,
        "senderChatId": _chat(message.sender.jid, message.sender.other_jid),
        "senderJid": message.sender.jid,
        "senderOtherJid": message.sender.other_jid,
    }


def _receipts(receipt: engine_pb2.ReceiptReceived, wire: bytes) -> Iterator[_Draft]:
    delivery = _DELIVERIES.get(receipt.type, f"type_{receipt.type}")
    # A receipt that names a message twice says it once.
    for whatsapp_id in dict.fromkeys(receipt.whatsapp_ids):
        target = own_key(whatsapp_id)
        yield _Draft(
            chat=_chat(receipt.chat_jid, receipt.chat_other_jid),
            event_type="receipt",
            key=receipt_key(target, delivery),
            timestamp_s=receipt.timestamp_s,
            payload={
                "target": target,
                "delivery": delivery,
                "whatsappId": whatsapp_id,
                "chatJid": receipt.chat_jid,
                "chatOtherJid": receipt.chat_other_jid,
                "timestampS": receipt.timestamp_s,
                "wire": wire,
            },
        )


def _read_on_phone(receipt: engine_pb2.ReceiptReceived, wire: bytes) -> _Draft:
    """One row, however many messages were read: when they were read says which ones they are."""
    digest = short_hash("|".join((*receipt.whatsapp_ids, str(receipt.timestamp_s))))
    return _Draft(
        chat=_chat(receipt.chat_jid, receipt.chat_other_jid),
        event_type="read",
        key=WaMessageKey(f"read-on-phone-{digest}"),
        timestamp_s=receipt.timestamp_s,
        payload={
            "whatsappIds": list(receipt.whatsapp_ids),
            "chatJid": receipt.chat_jid,
            "chatOtherJid": receipt.chat_other_jid,
            "timestampS": receipt.timestamp_s,
            "wire": wire,
        },
    )


def _not_understood(event: engine_pb2.Event) -> _Draft:
    """An event that this contract cannot read (a newer engine's): kept as it came, for a later reader; functions mark it."""
    raw = event.SerializeToString(deterministic=True)
    digest = short_hash(raw.hex())
    return _Draft(
        chat=ChatId(f"invalid-{digest}"),
        event_type=event.WhichOneof("kind") or "unknown",
        key=WaMessageKey(f"unreadable-{digest}"),
        timestamp_s=0,
        payload={"event": raw, "wire": event.wire},
    )


def _chat(jid: str, other_jid: str) -> ChatId:
    """The canonical chat; a JID that is none of ours gets a stand-in, so that its event is kept and can be marked."""
    canonical = canonical_chat(jid, other_jid)
    try:
        return chat_id(canonical)
    except InvalidId:
        return ChatId(f"invalid-{short_hash(canonical)}")
