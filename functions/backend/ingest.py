"""Takes up rows of the ingest log: one at a time where a chat is quiet, a chat's waiting rows together where it is not."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from google.api_core.exceptions import GoogleAPIError

from backend import log, queries
from backend.chats import Chat, Chats
from backend.clock import jitter, now, stand_back
from backend.contention import ContentionError
from backend.diagnosis import Diagnosis
from backend.stores import Commit, Conflict, Document, Stored, Stores
from backend.threads import Found, Messages, Threads, phone_of_rows
from core import inbound, schema
from core.alert import Alert, alert_id
from core.alert_types import Condition
from core.content import text_of
from core.errors import CATALOGUE, ErrorCode, code_of, described
from core.ids import AccountId, ChatId, EventId, RequestId, ThreadId, WaMessageId, parse_thread_id, thread_id
from core.inbound import (
    DeliveryChange,
    DiagnosisAsked,
    Event,
    MessageReceived,
    NotUnderstood,
    Plan,
    ReceiptReceived,
    Row,
)
from core.outbox import RequestStatus, finished_fields, queue_state
from core.timing import Timing

DRAIN_ROWS = 100
"""A commit's worth: each row brings two writes."""
DRAIN_BYTES = 2 * 1024 * 1024
_DRAIN_ROUNDS = 60
_EARLY_EVENT_PAUSE_S = 0.3


class _Result(Enum):
    DONE = auto()
    CONFLICT = auto()
    EARLY = auto()


@dataclass(frozen=True, kw_only=True)
class Drained:
    """`early` are the rows that go on waiting for their message; not `is_finished`: there are more rows than were asked for."""

    early: frozenset[EventId]
    is_finished: bool
    done: int


@dataclass(frozen=True, kw_only=True)
class Ingest:
    stores: Stores
    timing: Timing
    chats: Chats
    threads: Threads
    diagnosis: Diagnosis

    def take(self, row_id: str, document: Document, update_time: datetime) -> None:
        """A row as its trigger's event carries it. Idempotent: a row that is processed already changes nothing.

        Raises ContentionError, and whatever Firestore raises: the trigger is retried. The row counts the attempt.
        """
        try:
            self._take(row_id, document, update_time)
        except Exception:
            self._note_failed_attempt(EventId(row_id))
            raise

    def _take(self, row_id: str, document: Document, update_time: datetime) -> None:
        row, stored = inbound.parse_row(row_id, document), Stored(id=row_id, value=document, update_time=update_time)
        if isinstance(row, NotUnderstood):
            self._refuse(row, stored)
            return
        if isinstance(row, DiagnosisAsked):
            self.diagnosis.report(row, update_time)
            return
        chat_id = thread_id(row.account_id, row.chat_id)
        give_up_at = time.monotonic() + self.timing.early_event_s
        while not self._take_once(row, chat_id, stored):
            if time.monotonic() > give_up_at:
                self._note_early(row.event_id)
                return
            time.sleep(min(_EARLY_EVENT_PAUSE_S, self.timing.early_event_s) * (0.5 + jitter()))

    def drain(self, account: AccountId, chat: ChatId, commits: int = _DRAIN_ROUNDS) -> Drained:
        """Takes up the waiting rows of a chat, at most so many commits' worth."""
        chat_thread = thread_id(account, chat)
        with self.chats.enter(chat_thread) as entered, entered.lock:
            return self._drain(account, chat, entered, commits)

    def take_parked(self, stored: Stored[Document]) -> bool:
        """Another look at a row that waits apart for its message; whether it is done now. Another's conflict is none of ours."""
        row = inbound.parse_row(stored.id, stored.value)
        if isinstance(row, NotUnderstood):
            self._refuse(row, stored)
            return True
        if isinstance(row, DiagnosisAsked):
            return False  # its doctor waits no longer
        chat_thread = thread_id(row.account_id, row.chat_id)
        with self.chats.enter(chat_thread) as entered, entered.lock:
            return self._take_alone(row, chat_thread, stored) is _Result.DONE

    def _take_once(self, row: Event, chat_id: ThreadId, stored: Stored[Document]) -> bool:
        """Whether the row needs no more of us; if not, it came before its message."""
        with self.chats.enter(chat_id) as chat:
            tried = False
            if chat.lock.acquire(blocking=False):
                try:
                    if chat.is_done(row.event_id):
                        return True
                    tried = True
                    result = self._take_alone(row, chat_id, stored)
                    if result is not _Result.CONFLICT:
                        return result is _Result.DONE
                finally:
                    chat.lock.release()
            if tried:
                stand_back(1)  # another process is at this chat
            with chat.lock:
                if chat.is_done(row.event_id):
                    return True
                if tried:
                    own = self.stores.row(row.event_id)
                    if own is None or own.value.get("processed") is True:
                        return True
                drained = self._drain(row.account_id, row.chat_id, chat, _DRAIN_ROUNDS)
                if not drained.is_finished:
                    raise ContentionError(
                        "the chat's rows were not all taken up: there are too many, or others were faster each time"
                    )
                return row.event_id not in drained.early

    def _take_alone(self, row: Event, chat_id: ThreadId, taken: Stored[Document]) -> _Result:
        """The uncontended way: one read, one commit. A receipt that brings late proof reads its thread as well."""
        if isinstance(row, ReceiptReceived):
            stored = self.stores.message(row.message_id)
            if stored is not None and not inbound.moves_thread(row, stored.value, now()):
                found = Found(id=chat_id, current=None, phone=None)
                return self._try([row], {row.event_id: taken}, found, {row.message_id: stored})
        found = self.threads.find(row.account_id, row.chat_id, row.phone)
        rows, messages = self.threads.placed([row], found)
        if isinstance(row, ReceiptReceived) and stored is not None:
            messages = {**messages, row.message_id: stored}
        return self._try(rows, {row.event_id: taken}, found, messages)

    def _try(
        self, rows: Sequence[Row], taken: Mapping[EventId, Stored[Document]], found: Found, messages: Messages
    ) -> _Result:
        plan = self._plan(rows, found, messages)
        if plan.waiting:
            return _Result.EARLY
        try:
            self._commit(plan, taken, found, messages)
        except Conflict:
            return _Result.CONFLICT
        return _Result.DONE

    def _drain(self, account: AccountId, chat_id: ChatId, chat: Chat, commits: int) -> Drained:
        """The chat's waiting rows, a commit's worth at a time, until only early ones are left."""
        early: set[EventId] = set()
        done = 0
        look_at_all = False
        conflicts = 0
        for _ in range(commits):
            query = queries.unprocessed_rows_of_chat(self.stores.db, account, chat_id, DRAIN_ROWS + len(early))
            waiting = self.stores.find(query)
            rows = _first_that_fit([inbound.parse_row(stored.id, stored.value) for stored in waiting])
            if all(row.event_id in early for row in rows):
                return Drained(early=frozenset(early), is_finished=True, done=done)
            current, looked_up = self.stores.thread_and_messages(
                thread_id(account, chat_id), _to_look_up(rows, everything=look_at_all)
            )
            found = self.threads.found(account, chat_id, phone_of_rows(rows), current)
            rows, messages = self.threads.placed(rows, found)
            messages = {**looked_up, **messages}
            plan = self._plan(rows, found, messages)
            early.update(plan.waiting)
            try:
                self._commit(plan, {EventId(each.id): each for each in waiting}, found, messages)
            except Conflict:
                look_at_all = True
                conflicts += 1
                stand_back(conflicts)
                continue
            chat.note_done(plan.processed)
            done += len(plan.processed) + len(plan.refused)
        return Drained(early=frozenset(early), is_finished=False, done=done)

    def _plan(self, rows: Sequence[Row], found: Found, messages: Messages) -> Plan:
        return inbound.plan(
            rows,
            found.thread,
            {message_id: stored.value for message_id, stored in messages.items()},
            now(),
            self.timing.early_event_give_up_s,
        )

    def _commit(self, plan: Plan, taken: Mapping[EventId, Stored[Document]], found: Found, messages: Messages) -> None:
        """Everything together: messages, deliveries, thread and rows. Raises Conflict."""
        at, account = now(), parse_thread_id(found.id)[0]
        if not plan.processed and not plan.refused:
            return
        commit = self.stores.commit()
        for event_id in plan.processed:
            fields = _processed_fields(taken[event_id], at, is_understood=event_id not in plan.unsupported)
            commit.update(schema.INGEST, event_id, fields, at=taken[event_id].update_time)
            self._add_replayed(commit, event_id, account, taken[event_id].value, at)
        for refused in plan.refused:
            self._add_refusal(commit, refused, taken[refused.event_id], at)
        for event_id, kind in plan.unsupported.items():
            commit.raise_alert(_unsupported(account, kind, event_id), at)
        for message_id, document in plan.created.items():
            commit.create(schema.MESSAGES, message_id, document)
        for change in plan.deliveries.values():
            commit.update(schema.MESSAGES, change.message_id, change.fields, at=messages[change.message_id].update_time)
            self._add_reopened(commit, change, at)
        if plan.thread_after is not None:
            # A reply that is created or comes back may change nothing of the thread, but only of the one that was read.
            reopened = any(change.reopened is not None for change in plan.deliveries.values())
            is_moved = bool(plan.created) or reopened
            self.threads.add(commit, found, plan.thread_after, plan.contact_wrote, at, is_moved=is_moved)
        commit.run()

    def _add_reopened(self, commit: Commit, change: DeliveryChange, at: datetime) -> None:
        """A request that had been given up is sent after all: its document says so with the message."""
        if change.reopened is None:
            return
        request = self.stores.request(RequestId(change.reopened))
        if request is not None and queue_state(request.value).status is RequestStatus.FAILED:
            fields = finished_fields(RequestStatus.SENT, None, at)
            commit.update(schema.OUTBOX, request.id, fields, at=request.update_time)
            commit.resolve_alert(alert_id(ErrorCode.OUTCOME_UNKNOWN, request.id), at)

    def _add_replayed(
        self, commit: Commit, event_id: EventId, account: AccountId, document: Document, at: datetime
    ) -> None:
        """A row that had been refused, and was opened again, is taken up: its alert is over. Of a kind's rows, the first ends it."""
        error = document.get("lastProcessError")
        code = code_of(error)
        if code in (ErrorCode.INVALID_EVENT, ErrorCode.EVENT_TYPE_UNKNOWN):
            detail = str(error).partition(": ")[2]
            commit.resolve_alert(alert_id(code, _cause(code, event_id, account, detail)), at)

    def _refuse(self, row: NotUnderstood, stored: Stored[Document]) -> None:
        """Marks a row that cannot be understood, so that it does not clog the log, and raises its one alert."""
        commit = self.stores.commit()
        self._add_refusal(commit, row, stored, now())
        try:
            commit.run()
        except Conflict:
            return  # redelivered, or corrected in the meantime: then the sweeper takes it up
        log.row_refused(row.account_id, row.event_id, row.code)

    def _add_refusal(self, commit: Commit, row: NotUnderstood, stored: Stored[Document], at: datetime) -> None:
        needs_somebody = CATALOGUE[row.code].alert is not None
        fields = _processed_fields(stored, at, is_understood=not needs_somebody)
        fields["lastProcessError"] = described(row.code, row.detail)
        if needs_somebody:
            commit.raise_alert(_alert(row), at)
        commit.update(schema.INGEST, row.event_id, fields, at=stored.update_time)

    def _note_early(self, event_id: EventId) -> None:
        """Leaves an early row to the sweeper, and says on it why."""
        self._note_attempt(
            event_id, described(ErrorCode.MESSAGE_MISSING, "its message does not exist yet; tried again")
        )

    def _note_failed_attempt(self, event_id: EventId) -> None:
        """Counts an attempt that ended with an exception. The caller raises that exception, so an error here is ignored."""
        detail = "an attempt to process the row ended with an error in the functions; it is tried again"
        with suppress(GoogleAPIError):
            self._note_attempt(event_id, described(ErrorCode.PROCESSING_FAILED, detail))

    def _note_attempt(self, event_id: EventId, error: str) -> None:
        own = self.stores.row(event_id)
        if own is None or own.value.get("processed") is True:
            return
        commit = self.stores.commit()
        fields: dict[str, object] = {"processAttempts": _attempts(own) + 1, "lastProcessError": error}
        commit.update(schema.INGEST, event_id, fields, at=own.update_time)
        with suppress(Conflict):  # somebody has just taken it up
            commit.run()


def _first_that_fit(rows: Sequence[Row]) -> Sequence[Row]:
    """As many as one commit may carry: Firestore takes 10 MiB, and a contact may write texts of 64 KiB characters."""
    size = 0
    for place, row in enumerate(rows):
        text = text_of(row.content) if isinstance(row, MessageReceived) else None
        size += len(text.encode("utf-8", "surrogatepass")) if text else 0
        if size > DRAIN_BYTES and place > 0:
            return rows[:place]
    return rows


def _to_look_up(rows: Sequence[Row], *, everything: bool) -> set[WaMessageId]:
    """A contact's message is taken to be new until a commit was refused; all else is about a message that may stand."""
    return {
        row.message_id
        for row in rows
        if isinstance(row, ReceiptReceived) or (isinstance(row, MessageReceived) and (row.from_me or everything))
    }


def _attempts(stored: Stored[Document]) -> int:
    """How many attempts to process a row have ended without it."""
    attempts = stored.value.get("processAttempts")
    return attempts if isinstance(attempts, int) else 0


def _processed_fields(stored: Stored[Document], at: datetime, *, is_understood: bool) -> dict[str, object]:
    return {
        "processed": True,
        "processedAt": at,
        "processAttempts": _attempts(stored) + 1,
        "lastProcessError": None,
        "expireAt": inbound.expire_at(at, is_understood=is_understood),
    }


def _cause(code: ErrorCode, event_id: EventId, account: AccountId | None, detail: str) -> str:
    """Rows of a kind that these functions do not know are one cause together: an account may receive many of them."""
    return f"{account}|{detail}" if code is ErrorCode.EVENT_TYPE_UNKNOWN else event_id


def _unsupported(account: AccountId, kind: str, event_id: EventId) -> Alert:
    """Messages of one kind are one cause together: a contact may send many of them."""
    return Alert(
        code=Condition.UNSUPPORTED_KIND,
        cause=f"{account}|{kind}",
        account_id=account,
        message=f'A message of a kind that this version does not know ({kind}) was shown as "Unsupported message".',
        about=f"{schema.INGEST}/{event_id}",
    )


def _alert(row: NotUnderstood) -> Alert:
    return Alert(
        code=row.code,
        cause=_cause(row.code, row.event_id, row.account_id, row.detail),
        account_id=row.account_id,
        message=f"A row of the ingest log could not be understood and was kept: {row.detail}",
        about=f"{schema.INGEST}/{row.event_id}",
    )
