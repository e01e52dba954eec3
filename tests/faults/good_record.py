"""The record of a round in which everything went well, in plain values: tests spoil one thing at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core import ids
from local.faults.cast import Account, Cast, Chat
from local.faults.record import Document, Record
from local.network.contacts import InboxMessage
from local.network.world import Frame, Written

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ACCOUNT = Account(account_id=ids.account_id("shop"), phone="+40700000001")
CHAT = Chat(index=0, account=ACCOUNT, contact="+40800000001", reads=True, requests=3, inbound=3)
CAST = Cast(accounts=[ACCOUNT], chats=[CHAT])
REQUESTS = CAST.requests(CHAT)
INBOUND = CAST.inbound(CHAT)
UNREAD = 2
"""The contact's first message was there before the replies, the others came after them."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def message_id(key: str) -> str:
    return f"{CHAT.thread_id}_{key}"


def good_record() -> Record:
    outbox: dict[str, Document] = {}
    messages: dict[str, Document] = {}
    rows: dict[str, Document] = {}
    for place, inbound in enumerate(INBOUND):
        written_at = at(1 if place == 0 else 30 + place)
        row: dict[str, Any] = {"chatId": CHAT.chat_id, "eventType": "message", "processed": True, "expireAt": at(99)}
        rows[message_id(f"{inbound.whatsapp_id}-in")] = Document(
            fields=row | {"timestamp": written_at, "receivedAt": written_at, "lastProcessError": None},
            created_at=written_at,
        )
        messages[message_id(f"{inbound.whatsapp_id}-in")] = Document(
            fields={"chatId": CHAT.chat_id, "text": inbound.text, "timestamp": written_at}, created_at=written_at
        )
    for place, request in enumerate(REQUESTS):
        created_at = at(10 + place)
        fields = {"status": "sent", "attempts": 1, "lastError": None, "claimUntil": None, "expireAt": at(99)}
        outbox[request.request_id] = Document(fields=fields | {"createdAt": created_at}, created_at=created_at)
        messages[message_id(request.key)] = Document(
            fields={"chatId": CHAT.chat_id, "text": request.text, "timestamp": at(10.5 + place), "delivery": "read"},
            created_at=created_at,
        )
    thread = {
        "unreadCountGlobal": UNREAD,
        "lastMessageAt": at(32),
        "lastMessagePreview": INBOUND[2].text,
    }
    return Record(
        frames=[frame(place) for place in range(len(REQUESTS))],
        inboxes={CHAT.contact: [shown(request.key, request.text) for request in REQUESTS]},
        written=[
            Written(
                account=ACCOUNT.phone,
                contact=CHAT.contact,
                whatsapp_id=inbound.whatsapp_id,
                text=inbound.text,
                timestamp_s=1,
                from_me=False,
            )
            for inbound in INBOUND
        ],
        unacknowledged=0,
        outbox=outbox,
        messages=messages,
        threads={CHAT.thread_id: Document(fields=thread, created_at=START)},
        rows=rows,
        alerts={},
        posts={request.key: ["sent"] for request in REQUESTS},
    )


def frame(place: int) -> Frame:
    return Frame(
        account=ACCOUNT.phone,
        contact=CHAT.contact,
        whatsapp_id=REQUESTS[place].key,
        text=REQUESTS[place].text,
        attempt=1,
        recorded_at=START.timestamp(),
    )


def shown(key: str, text: str) -> InboxMessage:
    return InboxMessage(sender=ACCOUNT.phone, whatsapp_id=key, text=text, timestamp_s=1)
