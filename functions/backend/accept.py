"""Accepts a request: checks it again, makes its message, moves its thread. Whoever meets the request first does it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from google.api_core.exceptions import InvalidArgument

from backend import log
from backend.chats import Chats
from backend.clock import now
from backend.contention import until_committed
from backend.replies import Replies
from backend.stores import Commit, Conflict, Document, Stored, Stores, names_of
from backend.unread import counted
from core import diagnosis, ids, message, outbox, schema, thread
from core.alert import Alert
from core.delivery import Delivery, proves_sent
from core.errors import CATALOGUE, ErrorCode
from core.ids import InvalidId, RequestId, ThreadId, WaMessageId, outbound_key, parse_thread_id, wa_message_id
from core.message import StoredMessage
from core.moment import Moment
from core.outbox import Refusal, Request, RequestStatus
from core.thread import Thread


class Acceptance(Enum):
    """What became of a request."""

    ACCEPTED = auto()
    """Its message stands and is to be sent."""
    ENDED = auto()
    """It was refused, or its message stands as sent, or as failed, already: its document says so."""


def message_id_of(request: Request) -> WaMessageId:
    return wa_message_id(request.thread_id, request.key)


@dataclass(frozen=True, kw_only=True)
class Accept:
    stores: Stores
    chats: Chats

    def new_request(self, stored: Stored[Document]) -> Acceptance:
        """A request as it was created. Idempotent, also when the event comes again long after. Raises ContentionError."""
        problem = outbox.new_request_problem(stored.value)
        return self._refuse(stored, problem) if problem else self.request(stored)

    def request(self, stored: Stored[Document]) -> Acceptance:
        """A request at any time of its life. Idempotent. The outbox document is written only to end it. Raises ContentionError."""
        request = outbox.parse_request(stored.id, stored.value)
        if isinstance(request, Refusal):
            return self._refuse(stored, request)
        if request.account_id == diagnosis.ACCOUNT:
            return self._pass_on(request, stored)
        with self.chats.enter(request.thread_id) as chat, chat.lock:
            return until_committed(
                lambda conflicts: self._accept(request, stored, is_first_try=conflicts == 0),
                "the request could not be accepted",
            )

    def _accept(self, request: Request, stored: Stored[Document], *, is_first_try: bool) -> Acceptance:
        """The first attempt assumes that the message does not exist, which saves a read. Raises Conflict."""
        if is_first_try:
            current, standing = self.stores.thread(request.thread_id), None
        else:
            message_id = message_id_of(request)
            current, found = self.stores.thread_and_messages(request.thread_id, [message_id])
            standing = found.get(message_id)
        if standing is not None:
            return self._meet(stored, standing.value)
        if current is None:
            return self._turn_away(request, stored)
        self._announce(request, current)
        return Acceptance.ACCEPTED

    def _pass_on(self, request: Request, stored: Stored[Document]) -> Acceptance:
        """A request of the doctor's gets no message and no thread, so that nobody sees it. `waMessageKey` shows that it came this far."""
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, stored.id, {"waMessageKey": request.key}, at=stored.update_time)
        with suppress(Conflict):  # the event is delivered again, or the doctor has deleted the request
            commit.run()
        return Acceptance.ACCEPTED

    def _announce(self, request: Request, current: Stored[Thread]) -> None:
        """Commits message and thread together. The contact's messages before the reply become read. Raises Conflict."""
        at, commit = now(), self.stores.commit()
        wrote_at = current.value.contact_wrote_at
        message_id, written = message_id_of(request), Moment(at=request.created_at, received_at=request.created_at)
        names = names_of(current)
        commit.create(schema.MESSAGES, message_id, _document(request, at, wrote_at, names))
        after = thread.after_reply(current.value, message_id, written, text=request.text)
        after = counted(self.stores, names, after)
        # Even where no field changes, so that a concurrent count from the newest reply conflicts and is made again.
        fields = {**thread.changed_fields(current.value, after), "updatedAt": at}
        commit.update(schema.THREADS, current.id, fields, at=current.update_time)
        commit.run()

    def _turn_away(self, request: Request, stored: Stored[Document]) -> Acceptance:
        """There is no such thread. The message stands as failed, so that a later delivery of the event, when there is a
        thread, meets it and changes nothing. Raises Conflict."""
        current = self.stores.request(request.request_id)
        if current is None or outbox.queue_state(current.value).is_finished():
            return Acceptance.ENDED
        at, commit = now(), self.stores.commit()
        refusal = Refusal(code=ErrorCode.THREAD_UNKNOWN, detail="there is no such thread")
        fields = outbox.refused_fields(refusal, at)
        failed = {**_document(request, at), "delivery": str(Delivery.FAILED), "error": fields["lastError"]}
        commit.create(schema.MESSAGES, message_id_of(request), failed)
        commit.update(schema.OUTBOX, current.id, fields, at=current.update_time)
        commit.raise_alert(_alert(stored, refusal), at)
        commit.run()
        log.request_refused(request.account_id, stored.id, refusal.code)
        return Acceptance.ENDED

    def _meet(self, stored: Stored[Document], standing: StoredMessage) -> Acceptance:
        """The message stands: from an earlier acceptance, or from months ago, when the same request was sent or failed."""
        if standing.delivery is not None and proves_sent(standing.delivery):
            self._end(stored, outbox.finished_fields(RequestStatus.SENT, None, now()), None)
            return Acceptance.ENDED
        if is_replay_of_failed(stored.value, standing):
            self._end(stored, outbox.finished_fields(RequestStatus.FAILED, standing.error, now()), None)
            return Acceptance.ENDED
        return Acceptance.ACCEPTED  # a job for a queue in which it does not stand any more ends at once

    def _refuse(self, stored: Stored[Document], refusal: Refusal) -> Acceptance:
        at = now()
        alert = _alert(stored, refusal) if CATALOGUE[refusal.code].alert is not None else None
        self._end(stored, outbox.refused_fields(refusal, at), alert)
        log.request_refused(outbox.account_of(stored.value), stored.id, refusal.code)
        return Acceptance.ENDED

    def _end(self, stored: Stored[Document], fields: dict[str, object], alert: Alert | None) -> None:
        """Ends a request, unless it has ended already. One that leaves no room for its error loses the length of its fields."""
        until_committed(
            lambda conflicts: self._end_once(
                stored if conflicts == 0 else self.stores.request(RequestId(stored.id)), fields, alert
            ),
            "the request could not be ended",
        )

    def _end_once(self, current: Stored[Document] | None, fields: dict[str, object], alert: Alert | None) -> None:
        """Raises Conflict."""
        if current is None or outbox.queue_state(current.value).is_finished():
            return
        try:
            self._ending(current, fields, alert).run()
        except InvalidArgument:  # for good
            self._ending(current, {**outbox.shortened_fields(current.value), **fields}, alert).run()

    def _ending(self, current: Stored[Document], fields: dict[str, object], alert: Alert | None) -> Commit:
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, current.id, fields, at=current.update_time)
        if fields["status"] == RequestStatus.FAILED:
            self._add_failure(commit, current, fields["lastError"])
        if alert is not None:
            commit.raise_alert(alert, now())
        return commit

    def _add_failure(self, commit: Commit, request: Stored[Document], error: object) -> None:
        """Where the refused request already has a message, records the failure on the message, too."""
        try:
            thread_id = ids.thread_id(*parse_thread_id(request.id.rpartition("_")[0]))
        except InvalidId:
            return  # no message can have been created under such an id
        message = self.stores.message(wa_message_id(thread_id, outbound_key(RequestId(request.id))))
        if message is None or message.value.delivery is not Delivery.QUEUED:
            return
        at = now()
        fields = {"delivery": str(Delivery.FAILED), "error": error}
        left_at = outbox.queue_state(request.value).last_tried_at or at
        Replies(stores=self.stores).add_outcome(commit, thread_id, message, fields, left_at=left_at, now=at)


def is_replay_of_failed(document: Document, standing: StoredMessage) -> bool:
    """Whether a new request's message stands as failed. Both end in one commit, so it is the same request, created again after its
    document's time: what was cancelled, expired or decided then is not sent now."""
    return standing.delivery is Delivery.FAILED and outbox.queue_state(document).status is RequestStatus.QUEUED


def _document(
    request: Request, at: datetime, contact_wrote_at: datetime | None = None, queue: Sequence[ThreadId] = ()
) -> dict[str, object]:
    return message.outbound_document(
        request.account_id,
        request.chat_id,
        request.key,
        request.request_id,
        text=request.text,
        created_at=request.created_at,
        sender_uid=request.created_by_uid,
        sender_email=request.created_by_email,
        contact_wrote_at=contact_wrote_at,
        queue=queue,
        now=at,
    )


def _alert(stored: Stored[Document], refusal: Refusal) -> Alert:
    return Alert(
        code=refusal.code,
        cause=stored.id,
        account_id=outbox.account_of(stored.value),
        message=f"An outbox document that the rules would not let through was refused: {refusal.detail}",
        about=f"{schema.OUTBOX}/{stored.id}",
    )
