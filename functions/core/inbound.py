"""What rows of the ingest log do to a chat: a plan, computed from plain values, that one commit carries out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from core import content, diagnosis, message, reply, thread
from core.content import Content, InvalidContent, UnknownKind, Unsupported, line
from core.delivery import Delivery, is_forward
from core.errors import ErrorCode
from core.ids import (
    AccountId,
    ChatId,
    EventId,
    InvalidId,
    RequestId,
    WaMessageId,
    WaMessageKey,
    account_id,
    chat_id,
    document_id,
    event_id,
    is_direct,
    phone_of,
    thread_id,
    wa_message_id,
)
from core.message import StoredMessage
from core.moment import Moment
from core.thread import Thread

RETENTION_DAYS = 30
"""How long a processed row is kept."""
NOT_UNDERSTOOD_RETENTION_DAYS = 365
"""How long a row is kept that was not understood, or whose content was not: a later version may read it."""
_SECOND = timedelta(seconds=1)
_FIRST_MESSAGE_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class MessageReceived:
    """A message: a contact's, the echo of a send of ours, or one typed on the account's phone (the last two: from_me)."""

    event_id: EventId
    account_id: AccountId
    chat_id: ChatId
    key: WaMessageKey
    content: Content
    from_me: bool
    sender_name: str | None
    sender_chat: ChatId | None = None
    """In a group: who wrote it."""
    chat_name: str | None = None
    """In a group: the group's name. None where it is not known."""
    phone: str | None = None
    """The contact's number in a direct chat, where it is known."""
    timestamp: datetime
    received_at: datetime

    @property
    def message_id(self) -> WaMessageId:
        return wa_message_id(thread_id(self.account_id, self.chat_id), self.key)

    @property
    def written(self) -> Moment:
        return Moment(at=self.timestamp, received_at=self.received_at)


@dataclass(frozen=True, kw_only=True)
class ReceiptReceived:
    """WhatsApp's word on a message of ours."""

    event_id: EventId
    account_id: AccountId
    chat_id: ChatId
    target: WaMessageKey
    delivery: Delivery
    phone: str | None = None
    timestamp: datetime
    received_at: datetime

    @property
    def message_id(self) -> WaMessageId:
        return wa_message_id(thread_id(self.account_id, self.chat_id), self.target)


@dataclass(frozen=True, kw_only=True)
class ReadOnPhone:
    """The account's phone has shown the chat's messages up to a moment. `read` is on WhatsApp's clock, which counts in seconds."""

    event_id: EventId
    account_id: AccountId
    chat_id: ChatId
    phone: str | None = None
    read: Moment

    @property
    def received_at(self) -> datetime:
        return self.read.received_at


@dataclass(frozen=True, kw_only=True)
class NotUnderstood:
    """A row that is kept and marked. `account_id` is None where not even that can be read."""

    event_id: EventId
    account_id: AccountId | None
    code: ErrorCode
    detail: str


@dataclass(frozen=True, kw_only=True)
class DiagnosisAsked:
    """The doctor's canary row. It belongs to no chat. Only the ingest trigger answers it; the sweeper closes one that is left over."""

    event_id: EventId
    account_id: AccountId
    chat_id: ChatId
    received_at: datetime


Event = MessageReceived | ReceiptReceived | ReadOnPhone
Row = Event | DiagnosisAsked | NotUnderstood


@dataclass(frozen=True, kw_only=True)
class DeliveryChange:
    """`reopened` names a request that had been given up and turns out to be sent. `sent_at` is set if this change is the first proof that
    the message left."""

    message_id: WaMessageId
    delivery: Delivery
    reopened: RequestId | None
    sent_at: datetime | None = None

    @property
    def fields(self) -> dict[str, object]:
        left: dict[str, object] = {"timestamp": self.sent_at} if self.sent_at is not None else {}
        return {"delivery": str(self.delivery), "error": None, **left}


@dataclass(kw_only=True)
class Plan:
    """What one commit writes. `waiting` are receipts whose message does not exist yet, and reads of a thread that does not."""

    thread_before: Thread | None
    thread_after: Thread | None
    created: dict[WaMessageId, dict[str, object]] = field(default_factory=dict)
    deliveries: dict[WaMessageId, DeliveryChange] = field(default_factory=dict)
    processed: list[EventId] = field(default_factory=list)
    refused: list[NotUnderstood] = field(default_factory=list)
    waiting: list[EventId] = field(default_factory=list)
    unsupported: dict[EventId, str] = field(default_factory=dict)
    """Processed rows of messages whose content this version does not know, and the type of each."""
    contact_wrote: list[Moment] = field(default_factory=list)
    """When the contact's messages among the created ones were written."""


def parse_row(row_id: str, document: Mapping[str, object]) -> Row:
    """Reads a WAL row; whatever is wrong with it, the answer is a value."""
    account: AccountId | None = None
    try:
        account = account_id(document.get("accountId"))
        chat = chat_id(document.get("chatId"))
        key = WaMessageKey(document_id(document.get("waMessageKey")))
        received_at, payload = document.get("receivedAt"), document.get("payload")
        if row_id != event_id(thread_id(account, chat), key):
            raise InvalidId("the row's id is not accountId_chatId_waMessageKey")
        if not isinstance(received_at, datetime):
            raise InvalidId("receivedAt must be a timestamp")
        if not isinstance(payload, Mapping):
            raise InvalidId("payload must be a map")
        event_type, timestamp = document.get("eventType"), document.get("timestamp")
        if event_type == "message":
            return _parse_message(EventId(row_id), account, chat, key, timestamp, received_at, payload)
        if event_type == "receipt":
            return _parse_receipt(EventId(row_id), account, chat, timestamp, received_at, payload)
        if event_type == "read":
            if not isinstance(timestamp, datetime):
                raise InvalidId("timestamp must be a timestamp")
            read = Moment(at=timestamp, received_at=received_at)
            phone = _phone(chat, payload)
            return ReadOnPhone(event_id=EventId(row_id), account_id=account, chat_id=chat, phone=phone, read=read)
        if event_type == diagnosis.EVENT_TYPE and account == diagnosis.ACCOUNT:
            return DiagnosisAsked(event_id=EventId(row_id), account_id=account, chat_id=chat, received_at=received_at)
    except UnknownKind as error:
        return NotUnderstood(
            event_id=EventId(row_id), account_id=account, code=ErrorCode.EVENT_TYPE_UNKNOWN, detail=str(error)
        )
    except (InvalidId, InvalidContent) as error:
        return NotUnderstood(
            event_id=EventId(row_id), account_id=account, code=ErrorCode.INVALID_EVENT, detail=str(error)
        )
    return NotUnderstood(
        event_id=EventId(row_id),
        account_id=account,
        code=ErrorCode.EVENT_TYPE_UNKNOWN,
        detail="eventType must be message, receipt or read",
    )


def plan(
    rows: Sequence[Row],
    current: Thread | None,
    messages: Mapping[WaMessageId, StoredMessage | None],
    now: datetime,
    give_up_after_s: float,
) -> Plan:
    """The writes for rows of one chat, oldest first.

    `messages` holds what was looked up (None: does not stand); a message that was not looked up is taken to be new, and the
    commit's `create` proves it. A receipt's message must have been looked up, and the thread where that message `moves_thread`.
    """
    result = Plan(thread_before=current, thread_after=current)
    for row in rows:
        match row:
            case NotUnderstood():
                result.refused.append(row)
            case MessageReceived():
                _plan_message(result, row, messages.get(row.message_id), now)
            case ReceiptReceived():
                _plan_receipt(result, row, messages.get(row.message_id), now, give_up_after_s)
            case ReadOnPhone():
                _plan_read(result, row, now)
            case DiagnosisAsked():
                result.processed.append(row.event_id)
            case _:
                assert_never(row)
    return result


def expire_at(now: datetime, *, is_understood: bool = True) -> datetime:
    return now + timedelta(days=RETENTION_DAYS if is_understood else NOT_UNDERSTOOD_RETENTION_DAYS)


def moves_thread(row: ReceiptReceived, stored: StoredMessage, now: datetime) -> bool:
    """Whether a receipt changes its message's thread: only if the receipt is late proof that the message was sent."""
    return reply.becomes_sent(stored, row.delivery) and reply.moves_thread(stored, _left_at(stored, row, now))


def _plan_message(result: Plan, row: MessageReceived, stored: StoredMessage | None, now: datetime) -> None:
    result.processed.append(row.event_id)
    if stored is not None:
        if row.from_me:  # the echo of our own send proves it
            _move_forward(result, row.message_id, stored, Delivery.SENT, _left_by(row.timestamp, now))
        return
    if row.message_id in result.created:
        return
    before, written = result.thread_after or Thread(), row.written
    if isinstance(row.content, Unsupported):
        result.unsupported[row.event_id] = row.content.type
    if not is_direct(row.chat_id):
        before = thread.named(before, row.chat_name)
    elif not row.from_me:
        before = thread.named(before, row.sender_name)
    shown = line(row.content)
    if row.from_me:
        result.created[row.message_id] = message.phone_document(
            row.account_id, row.chat_id, row.key, content=row.content, written=written, now=now
        )
        result.thread_after = thread.after_reply(before, row.message_id, written, text=shown)
        return
    result.created[row.message_id] = message.inbound_document(
        row.account_id,
        row.chat_id,
        row.key,
        content=row.content,
        written=written,
        sender_name=row.sender_name,
        sender_chat=row.sender_chat,
        now=now,
    )
    result.contact_wrote.append(written)
    result.thread_after = thread.after_message(before, row.message_id, written, text=shown)


def _plan_read(result: Plan, row: ReadOnPhone, now: datetime) -> None:
    """Without a thread, the chat's first message may be on its way; or the phone shows a chat that is older than the account's link."""
    if result.thread_after is not None:
        result.thread_after = thread.read_until(result.thread_after, row.read)
    elif now - row.received_at < _FIRST_MESSAGE_WITHIN:
        result.waiting.append(row.event_id)
        return
    result.processed.append(row.event_id)


def _plan_receipt(
    result: Plan, row: ReceiptReceived, stored: StoredMessage | None, now: datetime, give_up_after_s: float
) -> None:
    created = result.created.get(row.message_id)
    if created is not None:
        result.processed.append(row.event_id)
        if is_forward(Delivery(str(created["delivery"])), row.delivery):
            created["delivery"] = str(row.delivery)
    elif stored is not None:
        result.processed.append(row.event_id)
        _move_forward(result, row.message_id, stored, row.delivery, _left_at(stored, row, now))
    elif now - row.received_at > timedelta(seconds=give_up_after_s):
        result.refused.append(
            NotUnderstood(
                event_id=row.event_id,
                account_id=row.account_id,
                code=ErrorCode.MESSAGE_MISSING,
                detail="the message that this receipt is about did not appear",
            )
        )
    else:
        result.waiting.append(row.event_id)


def _move_forward(
    result: Plan, message_id: WaMessageId, stored: StoredMessage, new: Delivery, left_at: datetime
) -> None:
    planned = result.deliveries.get(message_id)
    old = planned.delivery if planned else stored.delivery
    if old is None or not is_forward(old, new):
        return
    reopened = stored.request_id if stored.delivery is Delivery.FAILED else None
    sent_at = planned.sent_at if planned else None
    if planned is None and reply.becomes_sent(stored, new):
        sent_at = reply.sent_at(stored, left_at)
        if result.thread_after is not None:
            result.thread_after = reply.after_sent(result.thread_after, message_id, stored, left_at)
    result.deliveries[message_id] = DeliveryChange(
        message_id=message_id, delivery=new, reopened=reopened, sent_at=sent_at
    )


def _left_at(stored: StoredMessage, row: ReceiptReceived, now: datetime) -> datetime:
    """When the message left. A receipt can come days after the message was given up; the message then left with its last attempt."""
    return stored.tried_at or _left_by(row.timestamp, now)


def _left_by(proven_at: datetime, now: datetime) -> datetime:
    """A time that is not before the message left, so that it stays behind those that left before it: WhatsApp cuts its times to
    seconds. `now` is the upper limit, since the next message leaves only after this one is recorded as sent."""
    return min(proven_at.replace(microsecond=0) + _SECOND, now)


def _parse_message(
    row_id: EventId,
    account: AccountId,
    chat: ChatId,
    key: WaMessageKey,
    timestamp: object,
    received_at: datetime,
    payload: Mapping[str, object],
) -> Row:
    from_me, name = payload.get("fromMe"), payload.get("pushName")
    chat_name, sender = payload.get("chatName"), payload.get("senderChatId")
    if not isinstance(from_me, bool):
        raise InvalidId("payload.fromMe must be a boolean")
    if from_me == key.endswith("-in"):
        raise InvalidId("waMessageKey must end in '-in' for a contact's message, and for no other")
    if not isinstance(timestamp, datetime):
        raise InvalidId("timestamp must be a timestamp")
    return MessageReceived(
        event_id=row_id,
        account_id=account,
        chat_id=chat,
        key=key,
        content=content.parse(payload),
        from_me=from_me,
        sender_name=name if isinstance(name, str) and name else None,
        sender_chat=chat_id(sender) if sender is not None else None,
        chat_name=chat_name if isinstance(chat_name, str) and chat_name else None,
        phone=_phone(chat, payload),
        timestamp=timestamp,
        received_at=received_at,
    )


def _phone(chat: ChatId, payload: Mapping[str, object]) -> str | None:
    """The contact's number, as the chat's name or the event says. Not the number of a group's member."""
    if not is_direct(chat):
        return None
    names = [name for name in (payload.get("chatJid"), payload.get("chatOtherJid")) if isinstance(name, str)]
    return next((phone for name in (chat, *names) if (phone := phone_of(name)) is not None), None)


def _parse_receipt(
    row_id: EventId,
    account: AccountId,
    chat: ChatId,
    timestamp: object,
    received_at: datetime,
    payload: Mapping[str, object],
) -> Row:
    value = payload.get("delivery")
    if value not in ("sent", "delivered", "read"):
        raise InvalidId("payload.delivery must be sent, delivered or read")
    target = WaMessageKey(document_id(payload.get("target")))
    document_id(wa_message_id(thread_id(account, chat), target))  # the message's whole id must be one, too
    return ReceiptReceived(
        event_id=row_id,
        account_id=account,
        chat_id=chat,
        target=target,
        delivery=Delivery(str(value)),
        phone=_phone(chat, payload),
        timestamp=timestamp if isinstance(timestamp, datetime) else received_at,
        received_at=received_at,
    )
