"""A thread's moving parts: preview, last message and unread count, and what each message does to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from core.ids import AccountId, ChatId, ThreadId, WaMessageId, is_direct, phone_of, thread_id
from core.moment import Moment, moment
from core.text import preview


@dataclass(frozen=True, kw_only=True)
class Thread:
    """What a message can change in whatsapp_threads/{threadId}."""

    client_display_name: str | None = None
    started_at: datetime | None = None
    """When the conversation was started, while it has no message."""
    last: Moment | None = None
    last_message_id: WaMessageId | None = None
    last_message_preview: str | None = None
    unread: int | None = 0
    """The contact's messages after `seen`. None: they must be counted before the thread is written (backend/unread.py)."""
    contact_wrote: Moment | None = None
    """The contact's newest message."""
    replied: Moment | None = None
    """The newest reply that was not taken back: when it was written, not when it was sent."""
    read: Moment | None = None
    """Until when the account's phone has shown the messages."""
    phone: str | None = None
    """The contact's number as +E.164, where it is known."""
    merged_from: tuple[ThreadId, ...] = ()
    """The contact's former threads, which have become part of this one."""
    merged_into: ThreadId | None = None
    """The thread that this one has become part of."""

    @property
    def last_message_at(self) -> datetime | None:
        return self.last.at if self.last is not None else self.started_at

    @property
    def seen(self) -> Moment | None:
        """The contact's messages until then are not unread: they were answered, or read on the phone."""
        if self.read is None or (self.replied is not None and self.replied.is_after(self.read)):
            return self.replied
        return self.read

    @property
    def contact_wrote_at(self) -> datetime | None:
        """When the contact wrote last. A message that is sent within a day of it is a reply (core/pacing.py)."""
        return self.contact_wrote.at if self.contact_wrote is not None else None


def parse(document: Mapping[str, object]) -> Thread:
    """Reads a thread document; a field that is missing or of a wrong type reads as never set."""
    name, shown, unread = (document.get(f) for f in ("clientDisplayName", "lastMessagePreview", "unreadCountGlobal"))
    at, received, last_id = (document.get(f) for f in ("lastMessageAt", "lastReceivedAt", "lastMessageId"))
    phone, into, merged = (document.get(f) for f in ("clientPhoneE164", "mergedInto", "mergedFrom"))
    has_message = isinstance(received, datetime)
    return Thread(
        client_display_name=name if isinstance(name, str) else None,
        started_at=at if isinstance(at, datetime) and not has_message else None,
        last=moment(at, received) if has_message else None,
        last_message_id=WaMessageId(last_id) if isinstance(last_id, str) else None,
        last_message_preview=shown if isinstance(shown, str) else None,
        unread=unread if isinstance(unread, int) else 0,
        contact_wrote=moment(document.get("contactWroteAt"), document.get("contactReceivedAt")),
        replied=moment(document.get("repliedAt"), document.get("replyReceivedAt")),
        read=moment(document.get("readAt"), document.get("readReceivedAt")),
        phone=phone if isinstance(phone, str) else None,
        merged_from=tuple(ThreadId(each) for each in merged) if isinstance(merged, list) else (),
        merged_into=ThreadId(into) if isinstance(into, str) else None,
    )


def named(thread: Thread, name: str | None) -> Thread:
    """The thread under the name that its person or group shows now. A name that is not known changes nothing."""
    return replace(thread, client_display_name=name) if name else thread


def known_by(thread: Thread, phone: str | None) -> Thread:
    """The thread with the number that its contact has now. A number that is not known changes nothing."""
    return replace(thread, phone=phone) if phone else thread


def after_message(thread: Thread, message_id: WaMessageId, written: Moment, *, text: str) -> Thread:
    """The thread after a contact's message. The message is unread unless a newer reply exists, or it was read on the phone. Preview and last message only move forward.

    `text` is the line that stands for the message, as in `after_reply` and `shown`.
    """
    unread = thread.unread
    if unread is not None and written.is_after(thread.seen):
        unread += 1
    wrote = written if written.is_after(thread.contact_wrote) else thread.contact_wrote
    return shown(replace(thread, unread=unread, contact_wrote=wrote), message_id, written, text)


def after_reply(thread: Thread, message_id: WaMessageId, written: Moment, *, text: str) -> Thread:
    """The thread after an outbound message, from here or typed on the phone. The contact's messages before it are read."""
    return shown(replied_at(thread, written), message_id, written, text)


def replied_at(thread: Thread, written: Moment) -> Thread:
    """The thread after a reply that counts, whenever the reply becomes known. A reply older than the newest changes nothing."""
    if not written.is_after(thread.replied):
        return thread
    return recounted(replace(thread, replied=written))


def read_until(thread: Thread, read: Moment) -> Thread:
    """The thread after the account's phone has shown its messages until a moment. A moment before the last one changes nothing."""
    return recounted(replace(thread, read=read)) if read.is_after(thread.read) else thread


def recounted(thread: Thread) -> Thread:
    """The thread with the number of the contact's messages after `seen`: 0, or None where they must be counted."""
    is_counted = thread.contact_wrote is not None and thread.contact_wrote.is_after(thread.seen)
    return replace(thread, unread=None if is_counted else 0)


def shown(thread: Thread, message_id: WaMessageId, place: Moment, text: str) -> Thread:
    """The thread with the message as its last one, unless a newer one exists."""
    if not place.is_after(thread.last):
        return thread
    return replace(thread, started_at=None, last=place, last_message_id=message_id, last_message_preview=preview(text))


def changed_fields(before: Thread, after: Thread) -> dict[str, object]:
    """The document fields in which the two differ."""
    old, new = fields(before), fields(after)
    return {name: value for name, value in new.items() if value != old[name]}


def new_document(account: AccountId, chat: ChatId, thread: Thread, now: datetime) -> dict[str, object]:
    """A thread as it is created: absent is not null, so every field that is queried stands from the start."""
    return {
        "threadId": thread_id(account, chat),
        "accountId": account,
        "chatId": chat,
        "kind": "direct" if is_direct(chat) else "group",
        "ownerUid": None,
        "ownerEmail": None,
        "coWriterUids": [],
        "locked": False,
        "lockedReason": None,
        "createdAt": now,
        "updatedAt": now,
        "mergedInto": None,
        **fields(replace(thread, phone=thread.phone or phone_of(chat))),
    }


def fields(thread: Thread) -> dict[str, object]:
    last, wrote, replied, read = thread.last, thread.contact_wrote, thread.replied, thread.read
    return {
        "clientDisplayName": thread.client_display_name,
        "lastMessageAt": thread.last_message_at,
        "lastReceivedAt": last.received_at if last is not None else None,
        "lastMessageId": thread.last_message_id,
        "lastMessagePreview": thread.last_message_preview,
        "unreadCountGlobal": thread.unread,
        "contactWroteAt": wrote.at if wrote is not None else None,
        "contactReceivedAt": wrote.received_at if wrote is not None else None,
        "repliedAt": replied.at if replied is not None else None,
        "replyReceivedAt": replied.received_at if replied is not None else None,
        "readAt": read.at if read is not None else None,
        "readReceivedAt": read.received_at if read is not None else None,
        "clientPhoneE164": thread.phone,
        "mergedFrom": list(thread.merged_from),
    }
