"""Adds a reply's outcome to the commit that records it: the message, and where the outcome changes them, the thread's unread count and preview."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from backend.stores import Commit, Stored, Stores, names_of
from backend.unread import counted, newest_reply_but
from core import delivery, reply, schema, thread
from core.delivery import Delivery
from core.ids import ThreadId, WaMessageId
from core.message import StoredMessage
from core.thread import Thread


@dataclass(frozen=True, kw_only=True)
class Replies:
    stores: Stores

    def add_outcome(
        self,
        commit: Commit,
        thread_id: ThreadId,
        message: Stored[StoredMessage],
        fields: Mapping[str, object],
        *,
        left_at: datetime,
        now: datetime,
        is_certain: bool | None = None,
    ) -> None:
        """`fields` are the message's changed fields; without any, nothing is added.

        `left_at` is when the last attempt was made. `is_certain`: whether the message certainly did not leave; None: the error code
        says it. A reply that left at once costs nothing more. Any other outcome costs a read and a write of the thread, and perhaps a count.
        """
        if not fields:
            return
        new = delivery.parse(fields.get("delivery"))
        message_id, stored = WaMessageId(message.id), message.value
        if new is Delivery.FAILED:
            certain = reply.is_failure_certain(fields) if is_certain is None else is_certain
            kept: dict[str, object] = {} if certain else {"lastTriedAt": left_at}
            commit.update(schema.MESSAGES, message.id, {**fields, **kept}, at=message.update_time)
            self._add_failure(commit, thread_id, message_id, stored, now, is_certain=certain)
            return
        if new is None or not reply.becomes_sent(stored, new):
            commit.update(schema.MESSAGES, message.id, fields, at=message.update_time)
            return
        sent = {**fields, "timestamp": reply.sent_at(stored, left_at)}
        commit.update(schema.MESSAGES, message.id, sent, at=message.update_time)
        if reply.moves_thread(stored, left_at):
            self._add_sent(commit, thread_id, message_id, stored, left_at, now)

    def _add_failure(
        self,
        commit: Commit,
        thread_id: ThreadId,
        message_id: WaMessageId,
        stored: StoredMessage,
        now: datetime,
        *,
        is_certain: bool,
    ) -> None:
        current = self.stores.thread(thread_id)
        if current is None:
            return
        names = names_of(current)
        before = newest_reply_but(self.stores, names, message_id) if reply.is_newest(current.value, stored) else None
        after = reply.after_failure(current.value, message_id, stored, before, is_certain=is_certain)
        self._add_thread(commit, current, after, now)

    def _add_sent(
        self,
        commit: Commit,
        thread_id: ThreadId,
        message_id: WaMessageId,
        stored: StoredMessage,
        left_at: datetime,
        now: datetime,
    ) -> None:
        current = self.stores.thread(thread_id)
        if current is not None:
            self._add_thread(commit, current, reply.after_sent(current.value, message_id, stored, left_at), now)

    def _add_thread(self, commit: Commit, current: Stored[Thread], after: Thread, now: datetime) -> None:
        """Writes the thread even where no field changes, so that a concurrent count of unread messages conflicts and is made again."""
        final = counted(self.stores, names_of(current), after)
        fields = {**thread.changed_fields(current.value, final), "updatedAt": now}
        commit.update(schema.THREADS, current.id, fields, at=current.update_time)
