"""Counts a thread's unread messages with queries, where the thread document is not enough: a reply became known late, or was taken back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from backend import queries
from backend.stores import Document, Stored, Stores
from core import message
from core.account import NEVER
from core.delivery import Delivery
from core.ids import ThreadId, WaMessageId
from core.moment import Moment
from core.thread import Thread

_SECOND = timedelta(seconds=1)
_OLDER_REPLIES = 20


def counted(stores: Stores, thread_ids: Sequence[ThreadId], thread: Thread, created: Sequence[Moment] = ()) -> Thread:
    """The thread with its unread count, over all names of a merged thread. `created` are the contact's messages that the same commit creates.

    The caller must have read the thread before, and must write it under that read's precondition: then the count misses no message.
    """
    if thread.unread is not None:
        return thread
    unread = sum(written.is_after(thread.seen) for written in created)
    return replace(thread, unread=unread + _stored_after(stores, thread_ids, thread.seen))


def newest_reply_but(stores: Stores, thread_ids: Sequence[ThreadId], taken_back: WaMessageId) -> Moment | None:
    """When the thread's newest reply other than `taken_back` was written. None if there is no other reply that counts.

    Messages of a version before `writtenAt` are in no query by that field. They are read only if no newer reply counts.
    """
    newest = stores.find(queries.newest_replies(stores.db, thread_ids, 2))
    found = _newest_that_counts(newest, taken_back)
    if found is None:
        found = _newest_that_counts(
            stores.find(queries.newest_messages_of_ours(stores.db, thread_ids, _OLDER_REPLIES)), taken_back
        )
    return found


def _newest_that_counts(newest_first: Sequence[Stored[Document]], taken_back: WaMessageId) -> Moment | None:
    others = (message.parse(stored.value) for stored in newest_first if stored.id != taken_back)
    return next((each.written for each in others if each.delivery is not Delivery.FAILED), None)


def _stored_after(stores: Stores, thread_ids: Sequence[ThreadId], seen: Moment | None) -> int:
    """Reads the messages of that moment's own second, since within one second the order of arrival decides. Counts the later ones."""
    if seen is None:
        return stores.count(queries.messages_of_contact_from(stores.db, thread_ids, NEVER))
    next_second = seen.second + _SECOND
    later = stores.count(queries.messages_of_contact_from(stores.db, thread_ids, next_second))
    same_second = stores.find(queries.messages_of_contact_between(stores.db, thread_ids, seen.second, next_second))
    written = [message.parse(stored.value).written for stored in same_second]
    return later + sum(each is not None and each.is_after(seen) for each in written)
