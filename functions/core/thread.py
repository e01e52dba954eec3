"""A thread's moving parts: preview, last message and unread count, and what each message does to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.ids import AccountId, ChatId, is_direct, phone_of, thread_id
from core.text import preview


@dataclass(frozen=True, kw_only=True)
class Thread:
    """What a message can change in whatsapp_threads/{threadId}."""

    client_display_name: str | None = None
    last_message_at: datetime | None = None
    last_received_at: datetime | None = None
    last_message_preview: str | None = None
    unread: int = 0
    contact_wrote_at: datetime | None = None
    """When the contact wrote last: what is sent within a day of it is a reply (core/pacing.py)."""


def parse(document: Mapping[str, object]) -> Thread:
    """Reads a thread document; a field that is missing or of a wrong type reads as never set."""
    name, shown, unread = (document.get(f) for f in ("clientDisplayName", "lastMessagePreview", "unreadCountGlobal"))
    at, received, wrote = (document.get(f) for f in ("lastMessageAt", "lastReceivedAt", "contactWroteAt"))
    return Thread(
        client_display_name=name if isinstance(name, str) else None,
        last_message_at=at if isinstance(at, datetime) else None,
        last_received_at=received if isinstance(received, datetime) else None,
        last_message_preview=shown if isinstance(shown, str) else None,
        unread=unread if isinstance(unread, int) else 0,
        contact_wrote_at=wrote if isinstance(wrote, datetime) else None,
    )


def after_message(
    thread: Thread, *, sent_at: datetime, received_at: datetime, text: str, sender_name: str | None
) -> Thread:
    """A contact's message: one more unread, whatever its time; preview and last message only move forward."""
    named = replace(thread, client_display_name=sender_name) if sender_name else thread
    wrote_at = max(sent_at, thread.contact_wrote_at or sent_at)
    return _shown(replace(named, unread=thread.unread + 1, contact_wrote_at=wrote_at), sent_at, received_at, text)


def after_reply(thread: Thread, *, sent_at: datetime, received_at: datetime, text: str) -> Thread:
    """A message of ours, from here or typed on the phone: nothing is unread any more."""
    return _shown(replace(thread, unread=0), sent_at, received_at, text)


def changed_fields(before: Thread, after: Thread) -> dict[str, object]:
    """The document fields in which the two differ."""
    old, new = _fields(before), _fields(after)
    return {name: value for name, value in new.items() if value != old[name]}


def new_document(account: AccountId, chat: ChatId, thread: Thread, now: datetime) -> dict[str, object]:
    """A thread as it is created: absent is not null, so every field that is queried stands from the start."""
    return {
        "threadId": thread_id(account, chat),
        "accountId": account,
        "chatId": chat,
        "kind": "direct" if is_direct(chat) else "group",
        "clientPhoneE164": phone_of(chat),
        "ownerUid": None,
        "ownerEmail": None,
        "coWriterUids": [],
        "locked": False,
        "lockedReason": None,
        "createdAt": now,
        "updatedAt": now,
        **_fields(thread),
    }


def _shown(thread: Thread, sent_at: datetime, received_at: datetime, text: str) -> Thread:
    if not _is_later(thread, sent_at, received_at):
        return thread
    return replace(thread, last_message_at=sent_at, last_received_at=received_at, last_message_preview=preview(text))


def _is_later(thread: Thread, sent_at: datetime, received_at: datetime) -> bool:
    """WhatsApp's times are whole seconds, so within one second the order of arrival decides."""
    if thread.last_message_at is None or thread.last_received_at is None:
        return True
    shown = (int(thread.last_message_at.timestamp()), thread.last_received_at)
    return (int(sent_at.timestamp()), received_at) > shown


def _fields(thread: Thread) -> dict[str, object]:
    return {
        "clientDisplayName": thread.client_display_name,
        "lastMessageAt": thread.last_message_at,
        "lastReceivedAt": thread.last_received_at,
        "lastMessagePreview": thread.last_message_preview,
        "unreadCountGlobal": thread.unread,
        "contactWroteAt": thread.contact_wrote_at,
    }
