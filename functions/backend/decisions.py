"""What people do with a request that stands: its creator takes it back, a super-admin decides about one whose end is unknown."""

from dataclasses import dataclass
from datetime import datetime

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from backend import log
from backend.accept import Accept
from backend.clock import now, stand_back
from backend.ingest import ContentionError
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

_TRIES = 60


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
        for conflicts in range(_TRIES):
            standing = self._read(request_id, thread)
            if standing.request.value.get("createdByUid") != by.uid:
                raise Refused(ErrorCode.FORBIDDEN, "only its creator may take a message back")
            if decision.is_cancelled(standing.request.value):
                break
            at = now()
            ended = decision.cancelled(standing.request.value, standing.delivery, at)
            if isinstance(ended, Refusal):
                raise Refused(ended.code, ended.detail)
            if standing.message is None:
                self.accept.request(standing.request)  # its message must stand to be failed; or it is refused
                continue
            if _is_committed(self._ending(thread, standing, ended, at)):
                log.request_decided(parse_thread_id(thread)[0], request_id, "cancelled")
                break
            stand_back(conflicts + 1)
        else:
            raise ContentionError("the request could not be cancelled: others were faster each time")
        self._wake(request_id, thread)

    def look(self, request_id: RequestId, thread: ThreadId) -> dict[str, object]:
        """What is known of a request. Raises Refused."""
        return _known(self._read(request_id, thread))

    def resolve(
        self, request_id: RequestId, thread: ThreadId, decided: Decision, *, by: DecidedBy
    ) -> dict[str, object]:
        """Ends a request of which nobody knows whether it was sent, as `decided`, and closes its alert; the answer is what
        stands then. Raises Refused."""
        for conflicts in range(_TRIES):
            standing = self._read(request_id, thread)
            if decision.is_made_already(standing.request.value, decided):
                break
            at = now()
            refusal = decision.problem(standing.request.value, standing.delivery, at, decided)
            if refusal is not None:
                raise Refused(refusal.code, refusal.detail)
            if standing.message is None and not outbox.queue_state(standing.request.value).is_finished():
                self.accept.request(standing.request)
                continue
            commit = self._deciding(thread, standing, decided, by, at)
            if _is_committed(commit):
                log.request_decided(parse_thread_id(thread)[0], request_id, decided)
                standing = self._read(request_id, thread)
                break
            if decided is Decision.RESEND:
                self._refuse_if_taken(standing)
            stand_back(conflicts + 1)
        else:
            raise ContentionError("the decision could not be written: others were faster each time")
        self._wake(request_id, thread)
        return _known(standing)

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


def _is_committed(commit: Commit) -> bool:
    try:
        commit.run()
    except Conflict:
        return False
    return True


def _known(standing: _Standing) -> dict[str, object]:
    return decision.known(standing.request.value, standing.message.value.delivery if standing.message else None)
