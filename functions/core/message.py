"""whatsapp_messages: what a message document holds when it is created, and what is read back of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core import delivery
from core.content import Content, Text, fields
from core.delivery import Delivery
from core.ids import AccountId, ChatId, RequestId, ThreadId, WaMessageKey, thread_id, wa_message_id
from core.moment import Moment, moment


@dataclass(frozen=True, kw_only=True)
class StoredMessage:
    """What later events need to know of a message that stands. `delivery` is None for a contact's message."""

    delivery: Delivery | None
    request_id: RequestId | None
    contact_wrote_at: datetime | None = None
    """Of a request's: when the contact had written last, as the request was accepted."""
    error: str | None = None
    text: str = ""
    written: Moment | None = None
    queue: tuple[ThreadId, ...] = ()
    """Of a request's: the threads whose requests leave in one order, where its thread consists of several (core/merge.py)."""
    tried_at: datetime | None = None
    """When the last attempt was made. Set if the message's outcome is unknown."""


def parse(document: Mapping[str, object]) -> StoredMessage:
    request, wrote_at = document.get("requestId"), document.get("contactWroteAt")
    error, text, tried_at = (document.get(f) for f in ("error", "text", "lastTriedAt"))
    queue = document.get("queueThreadIds")
    return StoredMessage(
        delivery=delivery.parse(document.get("delivery")),
        request_id=RequestId(request) if isinstance(request, str) else None,
        contact_wrote_at=wrote_at if isinstance(wrote_at, datetime) else None,
        error=error if isinstance(error, str) else None,
        text=text if isinstance(text, str) else "",
        written=moment(document.get("writtenAt", document.get("timestamp")), document.get("receivedAt")),
        queue=tuple(ThreadId(each) for each in queue) if isinstance(queue, list) else (),
        tried_at=tried_at if isinstance(tried_at, datetime) else None,
    )


def inbound_document(
    account: AccountId,
    chat: ChatId,
    key: WaMessageKey,
    *,
    content: Content,
    written: Moment,
    sender_name: str | None,
    sender_chat: ChatId | None,
    now: datetime,
) -> dict[str, object]:
    """A contact's message. It has no delivery: that is a state of ours. In a group, `sender_chat` names who wrote it."""
    return {
        **_common(account, chat, key, content=content, timestamp=written.at, now=now),
        "receivedAt": written.received_at,
        "direction": "in",
        "senderName": sender_name,
        **({"senderChatId": sender_chat} if sender_chat is not None else {}),
    }


def phone_document(
    account: AccountId, chat: ChatId, key: WaMessageKey, *, content: Content, written: Moment, now: datetime
) -> dict[str, object]:
    """The document of a message that was typed on the account's own phone: sent already, and without an employee as sender."""
    return {
        **_common(account, chat, key, content=content, timestamp=written.at, now=now),
        "writtenAt": written.at,
        "receivedAt": written.received_at,
        "direction": "out",
        "senderUid": None,
        "senderEmail": None,
        "delivery": str(Delivery.SENT),
        "error": None,
    }


def outbound_document(
    account: AccountId,
    chat: ChatId,
    key: WaMessageKey,
    request: RequestId,
    *,
    text: str,
    created_at: datetime,
    sender_uid: str,
    sender_email: str | None,
    contact_wrote_at: datetime | None = None,
    queue: Sequence[ThreadId] = (),
    now: datetime,
) -> dict[str, object]:
    """The document of an accepted request. Its timestamp is the request's createdAt until the message is sent; `writtenAt` never changes."""
    return {
        **_common(account, chat, key, content=Text(text=text), timestamp=created_at, now=now),
        "writtenAt": created_at,
        "direction": "out",
        "senderUid": sender_uid,
        "senderEmail": sender_email,
        "requestId": request,
        "contactWroteAt": contact_wrote_at,
        "delivery": str(Delivery.QUEUED),
        "error": None,
        **({"queueThreadIds": list(queue)} if len(queue) > 1 else {}),
    }


def _common(
    account: AccountId, chat: ChatId, key: WaMessageKey, *, content: Content, timestamp: datetime, now: datetime
) -> dict[str, object]:
    thread = thread_id(account, chat)
    return {
        "waMessageId": wa_message_id(thread, key),
        "threadId": thread,
        "accountId": account,
        "chatId": chat,
        **fields(content),
        "timestamp": timestamp,
        "createdAt": now,
    }
