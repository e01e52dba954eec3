"""What people do with a request that stands: its creator takes it back, a super-admin decides about one whose end is unknown."""

from dataclasses import dataclass
from datetime import datetime

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from backend import log
from backend.accept import Accept
from backend.clock import now
from backend.contention import until_committed
from backend.refusal import Refused
from backend.replies import Replies
from backend.send_queue import Job, SendQueue
from backend.stores import Commit, Conflict, Document, Stored, Stores
from core import decision, outbox, schema
from core.alert import alert_id
from core.decision import DecidedBy, Decision
from core.delivery import Delivery
from core.errors import ErrorCode
from core.ids import RequestId, ThreadId, outbound_key, parse_thread_id, wa_message_id
from core.message import StoredMessage
from core.outbox import Refusal
from core.settling import Settlement


@dataclass(frozen=True, kw_only=True)
class _Standing:
    request: Stored[Document]
    message: Stored[StoredMessage] | None

    @property
    def delivery(self) -> Delivery:
        found = self.message.value.delivery if self.message is not None else None
        return found or Delivery.QUEUED


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Each is idempotent, ends with a job for the rest of the thread's queue, and loses against a claim: who decides about a
    request does it for the document as it was read."""

    stores: Stores
    accept: Accept
    queue: SendQueue
    replies: Replies

    def cancel(self, request_id: RequestId, thread: ThreadId, *, by: DecidedBy) -> None:
        """Takes a queued request back, for its creator alone. Raises Refused.

        The message stays in its chat as failed. What the contact wrote before it counts as unread again, and where it is the
        thread's last message, the preview says that it was not sent.
        """
        until_committed(lambda _: self._cancel(request_id, thread, by), "the request could not be cancelled")
        self._wake(request_id, thread)

    def _cancel(self, request_id: RequestId, thread: ThreadId, by: DecidedBy) -> None:
        """Raises Conflict and Refused."""
        standing, at = self._read(request_id, thread), now()
        if standing.request.value.get("createdByUid") != by.uid:
            raise Refused(ErrorCode.FORBIDDEN, "only its creator may take a message back")
        if decision.is_cancelled(standing.request.value):
            return
        ended = decision.cancelled(standing.request.value, standing.delivery, at)
        if isinstance(ended, Refusal):
            raise Refused(ended.code, ended.detail)
        self._require_message(standing)
        self._ending(thread, standing, ended, at).run()
        log.request_decided(parse_thread_id(thread)[0], request_id, "cancelled")

    def look(self, request_id: RequestId, thread: ThreadId) -> dict[str, object]:
        """What is known of a request. Raises Refused."""
        return _known(self._read(request_id, thread))

    def resolve(
        self, request_id: RequestId, thread: ThreadId, decided: Decision, *, by: DecidedBy
    ) -> dict[str, object]:
        """Ends a request of which nobody knows whether it was sent, as `decided`, and closes its alert; the answer is what
        stands then. Raises Refused."""
        failure = "the decision could not be written"
        standing = until_committed(lambda _: self._resolve(request_id, thread, decided, by), failure)
        self._wake(request_id, thread)
        return _known(standing)

    def _resolve(self, request_id: RequestId, thread: ThreadId, decided: Decision, by: DecidedBy) -> _Standing:
        """What is known after the decision. Raises Conflict and Refused."""
        standing, at = self._read(request_id, thread), now()
        if decision.is_made_already(standing.request.value, decided):
            return standing
        refusal = decision.problem(standing.request.value, standing.delivery, at, decided)
        if refusal is not None:
            raise Refused(refusal.code, refusal.detail)
        if not outbox.queue_state(standing.request.value).is_finished():
            self._require_message(standing)
        try:
            self._deciding(thread, standing, decided, by, at).run()
        except Conflict:
            if decided is Decision.RESEND:
                self._refuse_if_taken(standing)
            raise
        log.request_decided(parse_thread_id(thread)[0], request_id, decided)
        return self._read(request_id, thread)

    def _require_message(self, standing: _Standing) -> None:
        """A message that does not exist yet is made, or its request is refused: then both are read again. Raises Conflict."""
        if standing.message is None:
            self.accept.request(standing.request)
            raise Conflict("the request was accepted just now")

    def _read(self, request_id: RequestId, thread: ThreadId) -> _Standing:
        request = self.stores.request(request_id)
        if request is None:
            raise Refused(
                ErrorCode.NOT_FOUND, "there is no request of this id; it may have been removed after its time"
            )
        return _Standing(request=request, message=self.stores.message(wa_message_id(thread, outbound_key(request_id))))

    def _deciding(
        self, thread: ThreadId, standing: _Standing, decided: Decision, by: DecidedBy, at: datetime
    ) -> Commit:
        request = outbox.parse_request(standing.request.id, standing.request.value)
        if isinstance(request, Refusal):
            raise Refused(ErrorCode.NOT_UNCERTAIN, f"the next send job refuses it: {request.detail}")
        settlement = decision.decided(decided, request, by, standing.delivery, at)
        is_certain = True if decided is Decision.MARK_FAILED else None
        commit = self._ending(thread, standing, settlement, at, is_certain=is_certain)
        if decided is Decision.RESEND:
            # With the decision or not at all; its own trigger takes it from there.
            commit.create(schema.OUTBOX, *decision.resent(request, at))
        commit.resolve_alert(alert_id(ErrorCode.OUTCOME_UNKNOWN, request.request_id), at)
        return commit

    def _refuse_if_taken(self, standing: _Standing) -> None:
        """Raises Refused where a request that is not this decision's stands under the id of the one to be made."""
        request = outbox.parse_request(standing.request.id, standing.request.value)
        if isinstance(request, Refusal) or self.stores.request(decision.resent(request, now())[0]) is None:
            return
        current = self.stores.request(request.request_id)  # read after it: a decision writes both together
        if current is not None and current.update_time == standing.request.update_time:
            raise Refused(ErrorCode.NOT_UNCERTAIN, decision.TAKEN)

    def _ending(
        self,
        thread: ThreadId,
        standing: _Standing,
        settlement: Settlement,
        at: datetime,
        *,
        is_certain: bool | None = None,
    ) -> Commit:
        commit, request = self.stores.commit(), standing.request
        commit.update(schema.OUTBOX, request.id, settlement.request, at=request.update_time)
        if standing.message is not None:
            left_at = outbox.queue_state(request.value).last_tried_at or at
            self.replies.add_outcome(
                commit, thread, standing.message, settlement.message, left_at=left_at, now=at, is_certain=is_certain
            )
        return commit

    def _wake(self, request_id: RequestId, thread: ThreadId) -> None:
        """A job for what stands behind it in the queue; one a request, however often it is asked for."""
        try:
            self.queue.enqueue(Job(thread_id=thread), f"{request_id}|decided")
        except (GoogleAPIError, GoogleAuthError):
            log.thread_not_woken(thread)


def _known(standing: _Standing) -> dict[str, object]:
    return decision.known(standing.request.value, standing.message.value.delivery if standing.message else None)
