"""How the outcome of a reply changes its message and its thread: the reply is sent, or it is taken back because it was not sent."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.delivery import Delivery, proves_sent
from core.errors import ErrorCode, code_of
from core.ids import WaMessageId
from core.message import StoredMessage
from core.moment import Moment
from core.text import preview
from core.thread import Thread, recounted, replied_at, shown

LEFT_AT_ONCE = timedelta(minutes=1)
"""A reply that left within this time keeps its place in the list of threads, so its thread is not read and written again."""
_NOT_SENT = "Not sent"
_PERHAPS_NOT_SENT = "Perhaps not sent"


def becomes_sent(stored: StoredMessage, new: Delivery) -> bool:
    """Whether `new` is the first proof that the message left."""
    return stored.delivery in (Delivery.QUEUED, Delivery.FAILED) and proves_sent(new)


def sent_at(stored: StoredMessage, left_at: datetime) -> datetime:
    """The `timestamp` of a message that left. It is never before the message's creation, although WhatsApp's times are whole seconds and clocks differ."""
    return max(stored.written.at, left_at) if stored.written is not None else left_at


def moves_thread(stored: StoredMessage, left_at: datetime) -> bool:
    """Whether the thread changes when the message is sent: the message had been taken back, or it waited long."""
    return stored.delivery is Delivery.FAILED or _has_waited(stored, left_at)


def after_sent(thread: Thread, message_id: WaMessageId, stored: StoredMessage, left_at: datetime) -> Thread:
    """The thread after the reply is sent. The reply counts (again). If it had waited, it is sorted by when it left."""
    written, left = stored.written, sent_at(stored, left_at)
    if written is None:
        return thread
    after = replied_at(thread, written) if stored.delivery is Delivery.FAILED else thread
    place = Moment(at=left, received_at=left) if _has_waited(stored, left_at) else written
    if thread.last_message_id != message_id:
        return shown(after, message_id, place, stored.text)
    return replace(after, last=place, last_message_preview=preview(stored.text))


def is_newest(thread: Thread, stored: StoredMessage) -> bool:
    """Whether the unread count starts at this reply. If so, the reply before it is needed to take this one back."""
    return stored.written is not None and (thread.replied is None or not thread.replied.is_after(stored.written))


def after_failure(
    thread: Thread, message_id: WaMessageId, stored: StoredMessage, before: Moment | None, *, is_certain: bool
) -> Thread:
    """The thread after a reply that was not sent, or whose outcome is unknown. `before` is the newest of the other replies that count."""
    after = thread
    if is_newest(thread, stored):
        after = recounted(replace(thread, replied=before))
    if thread.last_message_id != message_id:
        return after
    word = _NOT_SENT if is_certain else _PERHAPS_NOT_SENT
    return replace(after, last_message_preview=preview(f"{word}: {stored.text}"))


def is_failure_certain(fields: Mapping[str, object]) -> bool:
    return code_of(fields.get("error")) is not ErrorCode.OUTCOME_UNKNOWN


def _has_waited(stored: StoredMessage, left_at: datetime) -> bool:
    return stored.written is not None and left_at - stored.written.at > LEFT_AT_ONCE
