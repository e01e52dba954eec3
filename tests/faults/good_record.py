"""The record of a round in which everything went well, in plain values: tests spoil one thing at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core import ids
from local.faults.cast import Account, Cast, Chat, Request
from local.faults.record import Document, Record
from local.network.contacts import Addressing, InboxMessage
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


def good_record(chat: Chat = CHAT) -> Record:
    """Of a chat that merges, too: its documents stand under the name that each of them came under."""
    cast = Cast(accounts=[ACCOUNT], chats=[chat])
    requests, written_by_contact = cast.requests(chat), cast.inbound(chat)
    outbox: dict[str, Document] = {}
    messages: dict[str, Document] = {}
    rows: dict[str, Document] = {}
    for place, inbound in enumerate(written_by_contact):
        written_at = at(1 if place == 0 else 30 + place)
        name = inbound.message_ids[-1 if inbound.addressing is Addressing.NUMBER_ONLY else 0]
        row: dict[str, Any] = {"chatId": chat.chat_id, "eventType": "message", "processed": True, "expireAt": at(99)}
        rows[name] = Document(
            fields=row | {"timestamp": written_at, "receivedAt": written_at, "lastProcessError": None},
            created_at=written_at,
        )
        messages[name] = Document(fields=_message(name, inbound.text, written_at), created_at=written_at)
    for place, request in enumerate(requests):
        created_at = at(10 + place)
        fields = {"status": "sent", "attempts": 1, "lastError": None, "claimUntil": None, "expireAt": at(99)}
        outbox[request.request_id] = Document(fields=fields | {"createdAt": created_at}, created_at=created_at)
        sent = _message(request.message_id, request.text, at(10.5 + place)) | {"delivery": "read"}
        messages[request.message_id] = Document(fields=sent, created_at=created_at)
    thread = {
        "unreadCountGlobal": UNREAD,
        "lastMessageAt": at(32),
        "lastMessagePreview": written_by_contact[2].text,
    }
    threads: dict[str, Document] = {chat.thread_id: Document(fields=thread, created_at=START)}
    if chat.merges:
        joined = {"mergedFrom": [chat.former_thread_id]}
        former = {"mergedInto": chat.thread_id, "unreadCountGlobal": 0}
        threads = {
            chat.thread_id: Document(fields=thread | joined, created_at=at(15)),
            chat.former_thread_id: Document(fields=former, created_at=START),
        }
    return Record(
        frames=[_frame(request) for request in requests],
        inboxes={chat.contact: [shown(request.key, request.text) for request in requests]},
        written=[
            Written(
                account=ACCOUNT.phone,
                contact=CHAT.contact,
                whatsapp_id=inbound.whatsapp_id,
                text=inbound.text,
                timestamp_s=1,
                from_me=False,
            )
            for inbound in written_by_contact
        ],
        unacknowledged=0,
        outbox=outbox,
        messages=messages,
        threads=threads,
        rows=rows,
        alerts={},
        posts={request.key: ["sent"] for request in requests},
    )


def frame(place: int) -> Frame:
    return _frame(REQUESTS[place])


def _message(name: str, text: str, at: datetime) -> dict[str, Any]:
    thread_id = name.rpartition("_")[0]
    return {"threadId": thread_id, "chatId": ids.parse_thread_id(thread_id)[1], "text": text, "timestamp": at}


def _frame(request: Request) -> Frame:
    return Frame(
        account=ACCOUNT.phone,
        contact=request.chat.contact,
        whatsapp_id=request.key,
        text=request.text,
        attempt=1,
        recorded_at=START.timestamp(),
    )


def shown(key: str, text: str) -> InboxMessage:
    return InboxMessage(sender=ACCOUNT.phone, whatsapp_id=key, text=text, timestamp_s=1)
