"""The changes to message and thread when a decision at the command line ends a reply, as functions/backend/replies.py and unread.py make them.

The connector's image does not contain functions/backend. Both decide in core/reply and core/thread which fields change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from connector.admin.context import Change, Context, Stored
from connector.admin.merged import merged_thread, names_of
from connector.queries import messages_of_contact_from, newest_messages_of_ours, newest_replies
from core import delivery, message, reply, thread
from core.account import NEVER
from core.delivery import Delivery
from core.ids import ThreadId, WaMessageId
from core.moment import Moment
from core.thread import Thread

_OLDER_REPLIES = 20


def outcome(
    context: Context,
    thread_id: ThreadId,
    stored: Stored,
    fields: Mapping[str, object],
    *,
    left_at: datetime,
    at: datetime,
    is_certain: bool | None = None,
) -> list[Change]:
    """`fields` are the message's changed fields; without any, there is no change. `left_at` is when the last attempt was made.
    `is_certain`: whether the message certainly did not leave; None: the error code says it."""
    if not fields:
        return []
    new, before, message_id = (
        delivery.parse(fields.get("delivery")),
        message.parse(stored.document),
        WaMessageId(stored.id),
    )
    current = merged_thread(context, thread_id)
    names = names_of(current, thread_id)
    known = thread.parse(current.document) if current is not None else Thread()
    after, changed = known, dict(fields)
    if new is Delivery.FAILED:
        certain = reply.is_failure_certain(fields) if is_certain is None else is_certain
        if not certain:
            changed["lastTriedAt"] = left_at
        replied = _newest_reply_but(context, names, message_id) if reply.is_newest(known, before) else None
        after = reply.after_failure(known, message_id, before, replied, is_certain=certain)
    elif new is not None and reply.becomes_sent(before, new):
        changed["timestamp"] = reply.sent_at(before, left_at)
        after = reply.after_sent(known, message_id, before, left_at)
    changes = [Change(reference=stored.reference, fields=changed, at=stored.update_time)]
    if current is not None:
        moved = thread.changed_fields(known, _counted(context, names, after))
        changes.append(Change(reference=current.reference, fields={**moved, "updatedAt": at}, at=current.update_time))
    return changes


def _newest_reply_but(context: Context, thread_ids: Sequence[ThreadId], taken_back: WaMessageId) -> Moment | None:
    """When the thread's newest other reply that counts was written. Replies of a version without `writtenAt` come last."""
    for query in (
        newest_replies(context.db, thread_ids, 2),
        newest_messages_of_ours(context.db, thread_ids, _OLDER_REPLIES),
    ):
        others = (message.parse(each.document) for each in context.find(query) if each.id != taken_back)
        counting = next((each for each in others if each.delivery is not Delivery.FAILED), None)
        if counting is not None:
            return counting.written
    return None


def _counted(context: Context, thread_ids: Sequence[ThreadId], after: Thread) -> Thread:
    """The thread with its unread count. The caller must have read the thread before, and must write it under that read's precondition."""
    if after.unread is not None:
        return after
    since = after.seen.second if after.seen is not None else NEVER
    found = context.each(messages_of_contact_from(context.db, thread_ids, since))
    written = (message.parse(each.document).written for each in found)
    return replace(after, unread=sum(each is not None and each.is_after(after.seen) for each in written))
