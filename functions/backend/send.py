"""The send job: works on the head of its thread's queue, whichever request it was created for, until nothing is left to do."""

import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from google.api_core.exceptions import InvalidArgument

from backend import log, queries
from backend.accept import Accept, Acceptance, is_replay_of_failed
from backend.clock import jitter, now, stand_back
from backend.connector_client import ConnectorClient
from backend.contention import until_committed
from backend.diagnosis import Diagnosis
from backend.expiry import Expiry
from backend.owners import NobodyReady, Owner, Owners, UnknownAccount
from backend.replies import Replies
from backend.running import Running
from backend.send_queue import Job, SendQueue
from backend.stores import Commit, Conflict, Document, Stored, Stores
from core import decision, diagnosis, expiry, outbox, pacing, schema, settling
from core.alert import Alert, alert_id
from core.delivery import Delivery, proves_sent
from core.errors import ErrorCode, code_of, described
from core.ids import (
    AccountId,
    InvalidId,
    RequestId,
    ThreadId,
    WaMessageId,
    outbound_key,
    parse_thread_id,
    wa_message_id,
)
from core.message import StoredMessage
from core.outbox import Claim, Outcome, Refusal, RequestStatus, SendResult
from core.settling import NextStep, Settlement
from core.timing import Timing
from core.turns import next_turn

_LOOK_AHEAD = 2
"""A head and whether there is a next one: each document of a query is a read that is paid for."""
_LOOK_AHEAD_IN_BACKLOG = 10
_UNKNOWN_ACCOUNT = SendResult(
    outcome=Outcome.INVALID, code=ErrorCode.ACCOUNT_UNKNOWN, reason="there is no account of this id"
)


class JobEnd(Enum):
    """Why a job ended. Each of them is a 200 to Cloud Tasks: waiting is never an error."""

    QUEUE_EMPTY = auto()
    HEAD_HELD = auto()
    ACCOUNT_NOT_READY = auto()
    CONTINUED_BY_ANOTHER = auto()
    INVALID_THREAD = auto()
    JOINED = auto()
    """Another job of this process is at work on the thread."""


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A head that belongs to this job; `claim_time` is the update time that its claim's commit made, `claimed_at` the job's own
    time of it."""

    head: Stored[Document]
    claim: Claim
    claim_time: datetime
    claimed_at: datetime
    account_is_unknown: bool = False

    @property
    def request_id(self) -> RequestId:
        return RequestId(self.head.id)

    @property
    def thread_id(self) -> ThreadId:
        return ThreadId(str(self.head.value["threadId"]))

    @property
    def left_at(self) -> datetime:
        """When the last attempt was made. A claim beyond the limit of attempts makes none, so the time of the one before it counts."""
        tried_at = outbox.queue_state(self.head.value).last_tried_at
        return tried_at if self.claim.is_exhausted and tried_at is not None else self.claimed_at


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """An attempt's outcome is committed; with it the claim of the next head, where there was one."""

    settlement: Settlement
    following: _Held | None


@dataclass(frozen=True, kw_only=True)
class _ClaimLost:
    """The claim ran out, and somebody else has written the request since."""

    current: Stored[Document] | None


@dataclass(kw_only=True)
class _Progress:
    """What a running job knows of its queue."""

    job: Job
    account: AccountId
    careful: bool
    """Make sure that a job exists for the end of another's claim: this one is a retry, or was made for that, or has just
    left a claim behind."""
    ends_at: float
    names: tuple[ThreadId, ...]
    """Whose requests leave in one order: the thread, and those that were merged into it as far as is known."""
    rows: deque[Stored[Document]] = field(default_factory=deque)
    backlog: bool = False
    held: _Held | None = None
    asked: Owner | None = None
    """Whom the last attempt was meant for."""
    denials: int = 0
    limit_s: float | None = None
    """How old a request of the account may become; read when a head is so old that it matters."""


@dataclass(frozen=True, kw_only=True)
class Send:
    stores: Stores
    timing: Timing
    accept: Accept
    owners: Owners
    connector: ConnectorClient
    queue: SendQueue
    running: Running
    expiry: Expiry
    diagnosis: Diagnosis
    replies: Replies

    def run(self, job: Job, *, is_retry: bool) -> JobEnd:
        """Idempotent, and safe beside any number of other jobs of the same thread. Raises only for what is broken."""
        try:
            account, _ = parse_thread_id(job.thread_id)
        except InvalidId:
            return JobEnd.INVALID_THREAD
        if account == diagnosis.ACCOUNT:
            self.diagnosis.end_requests()
            return JobEnd.QUEUE_EMPTY
        progress = _Progress(
            job=job,
            account=account,
            careful=is_retry or job.key is not None,
            ends_at=time.monotonic() + self.timing.job_budget_s,
            names=(job.thread_id,),
        )
        # A careful job looks for itself: it answers for the end of a claim, which the one at work may not know of.
        if not progress.careful and self.running.join(job.thread_id):
            return JobEnd.JOINED
        if not self.running.begin(job.thread_id):
            return self._work(progress)
        try:
            while True:
                end = self._work(progress)
                if self.running.end(job.thread_id):
                    return end
        except BaseException:
            self.running.fail(job.thread_id)
            raise

    def _work(self, progress: _Progress) -> JobEnd:
        while True:
            end = self._take_head(progress) if progress.held is None else None
            if end is not None:
                return end
            if progress.held is not None:
                end = self._send_head(progress, progress.held)
            if end is not None:
                return end

    def _take_head(self, progress: _Progress) -> JobEnd | None:
        """Looks for the head and claims it. None: it is held now, or another was faster and it must be looked for again."""
        self.running.note_look(progress.job.thread_id)
        heads = self.stores.find(queries.queue_head(self.stores.db, progress.names, _LOOK_AHEAD))
        if not heads:
            return JobEnd.QUEUE_EMPTY
        progress.rows, progress.backlog = deque(heads[1:]), len(heads) == _LOOK_AHEAD
        head, at = heads[0], now()
        state = outbox.queue_state(head.value)
        if state.is_held(at) and not self._is_answered_meanwhile(head, state, at):
            # A job of the other name may hold it, which does not know of this one's requests.
            is_of_another_name = head.value["threadId"] != progress.job.thread_id
            if (progress.careful or is_of_another_name) and state.claim_until is not None:
                self._follow_up(progress.job, head, state.claim_until)
            return JobEnd.HEAD_HELD
        if time.monotonic() > progress.ends_at:
            self.queue.enqueue(Job(thread_id=progress.job.thread_id), f"{head.id}|go-on|{head.update_time.timestamp()}")
            return JobEnd.CONTINUED_BY_ANOTHER
        if isinstance(outbox.parse_request(head.id, head.value), Refusal):
            self.accept.request(head)  # which ends it; it might have no room for a claim
            return None
        if self._is_too_old(progress, head, at):
            self.expiry.end(head, at)
            return None
        is_unknown = False
        try:
            self.owners.ready(progress.account)
        except NobodyReady as reason:
            self._say_why(head, progress.account, reason)
            return JobEnd.ACCOUNT_NOT_READY
        except UnknownAccount:
            is_unknown = True
        claim, fields = outbox.claim(RequestId(head.id), state, at, self.timing)
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, head.id, fields, at=head.update_time)
        try:
            (claim_time,) = commit.run()
        except Conflict:
            stand_back(1)
            return None
        progress.held = _Held(
            head=head, claim=claim, claim_time=claim_time, claimed_at=at, account_is_unknown=is_unknown
        )
        return None

    def _send_head(self, progress: _Progress, held: _Held) -> JobEnd | None:
        """One attempt: the message must stand, then the POST, then everything that is known is committed."""
        message = self._message(held)
        if message is None or is_replay_of_failed(held.head.value, message.value):
            if self.accept.request(held.head) is Acceptance.ENDED:
                progress.held = None
                return None
            message = self._message(held)
        if message is not None and not set(message.value.queue) <= set(progress.names):
            self._look_under_all_names(progress, held, message.value.queue)
            return None
        if message is not None and message.value.delivery is not None and proves_sent(message.value.delivery):
            result = SendResult(outcome=Outcome.SENT)
        elif held.claim.is_exhausted:
            result = SendResult(outcome=Outcome.EXHAUSTED)
        elif held.account_is_unknown:
            result = _UNKNOWN_ACCOUNT
        elif self._is_resent_in_vain(held.head):
            reason = "the message in whose place it was to be sent again was sent after all"
            result = SendResult(outcome=Outcome.INVALID, code=ErrorCode.CANCELLED, reason=reason)
        else:
            result = self._post(progress, held, message)
        if result.outcome in (Outcome.SENT, Outcome.REJECTED):
            self._look_ahead(progress, held)
        return self._settle(progress, held, result, message)

    def _look_under_all_names(self, progress: _Progress, held: _Held, names: tuple[ThreadId, ...]) -> None:
        """Gives the claim back and looks again: the thread was merged, and an earlier request may wait under its other name."""
        progress.names = tuple(dict.fromkeys((*progress.names, *names)))
        progress.held = None
        progress.rows.clear()
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, held.head.id, outbox.unclaimed_fields(held.head.value), at=held.claim_time)
        try:
            commit.run()
        except Conflict:
            stand_back(1)  # the claim ran out, and another has it

    def _is_resent_in_vain(self, head: Stored[Document]) -> bool:
        """Whether proof has come meanwhile of the message that was given up. Costs a read, of what is sent again alone."""
        original = decision.original_of(head.value)
        if original is None:
            return False
        message = self.stores.message(wa_message_id(ThreadId(str(head.value["threadId"])), outbound_key(original)))
        return message is not None and message.value.delivery is not None and proves_sent(message.value.delivery)

    def _post(self, progress: _Progress, held: _Held, message: Stored[StoredMessage] | None) -> SendResult:
        request = outbox.parse_request(held.head.id, held.head.value)
        if isinstance(request, Refusal):
            return SendResult(outcome=Outcome.INVALID, code=request.code, reason=request.detail)
        try:
            owner = progress.asked = self.owners.ready(progress.account)
        except NobodyReady:
            return SendResult(outcome=Outcome.NOT_CONNECTED)
        except UnknownAccount:
            return _UNKNOWN_ACCOUNT
        is_reply = self._is_reply(held.head, message.value.contact_wrote_at if message is not None else None)
        return self.connector.send(owner.endpoint, request, held.claim, now(), is_reply=is_reply)

    def _is_reply(self, head: Stored[Document], wrote_at: datetime | None) -> bool:
        """Whether the contact has written within a day: as its message says, or, where it has waited, as the thread says now."""
        if pacing.is_reply(wrote_at, now()):
            return True
        return outbox.queue_state(head.value).waits_as_cold() and self._has_written_meanwhile(head)

    def _is_answered_meanwhile(self, head: Stored[Document], state: outbox.QueueState, at: datetime) -> bool:
        """A cold message that only its account's pace holds back, and whose contact has written since: it is one no more, and
        would hold up what was written after it."""
        return state.is_held_as_cold(at) and self._has_written_meanwhile(head)

    def _has_written_meanwhile(self, head: Stored[Document]) -> bool:
        thread = self.stores.thread(ThreadId(str(head.value["threadId"])))
        return thread is not None and pacing.is_reply(thread.value.contact_wrote_at, now())

    def _is_too_old(self, progress: _Progress, head: Stored[Document], at: datetime) -> bool:
        if not expiry.is_past(head.value, at, self.timing.queue_limit_least_s):
            return False
        if progress.limit_s is None:
            progress.limit_s = self.expiry.limit_s(progress.account)
        return expiry.is_past(head.value, at, progress.limit_s)

    def _may_be_too_old(self, progress: _Progress, head: Stored[Document], at: datetime) -> bool:
        """The same without a read: where the account's limit is not known yet, an old head is looked at by itself."""
        limit_s = self.timing.queue_limit_least_s if progress.limit_s is None else progress.limit_s
        return expiry.is_past(head.value, at, limit_s)

    def _look_ahead(self, progress: _Progress, held: _Held) -> None:
        """In a backlog, the next heads: the next one's claim goes with this one's settling."""
        if progress.backlog and not progress.rows:
            heads = self.stores.find(queries.queue_head(self.stores.db, progress.names, _LOOK_AHEAD_IN_BACKLOG))
            progress.rows = deque(row for row in heads if row.id != held.head.id)
            progress.backlog = len(heads) == _LOOK_AHEAD_IN_BACKLOG

    def _settle(
        self, progress: _Progress, held: _Held, result: SendResult, message: Stored[StoredMessage] | None
    ) -> JobEnd | None:
        """Commits the outcome under the claim, and with it the claim of the next head. None: the job goes on."""
        progress.held = None
        recorded = until_committed(
            lambda conflicts: self._record(progress, held, result, message, is_first_try=conflicts == 0),
            "the outcome of an attempt could not be recorded",
        )
        if isinstance(recorded, _ClaimLost):
            return self._claim_lost(progress, held, result, recorded.current)
        log.request_settled(progress.account, held.head.id, result.outcome, held.claim.attempts)
        progress.held = recorded.following
        return self._after(progress, held, recorded.settlement, result)

    def _record(
        self,
        progress: _Progress,
        held: _Held,
        result: SendResult,
        message: Stored[StoredMessage] | None,
        *,
        is_first_try: bool,
    ) -> _Recorded | _ClaimLost:
        """Raises Conflict if another writer has changed the request, its message or the next head."""
        if not is_first_try:
            progress.rows.clear()
            current, message = self.stores.request(held.request_id), self._message(held)
            if current is None or current.update_time != held.claim_time:
                return _ClaimLost(current=current)
        try:
            return self._commit_outcome(progress, held, result, message, {})
        except InvalidArgument:  # for good: perhaps the next head takes no claim
            progress.rows.clear()
        try:
            return self._commit_outcome(progress, held, result, message, {})
        except InvalidArgument:  # the request leaves no room for its outcome
            return self._commit_outcome(progress, held, result, message, outbox.shortened_fields(held.head.value))

    def _commit_outcome(
        self,
        progress: _Progress,
        held: _Held,
        result: SendResult,
        message: Stored[StoredMessage] | None,
        shortened: dict[str, object],
    ) -> _Recorded:
        """Raises Conflict and InvalidArgument."""
        standing, at = (message.value.delivery if message else None) or Delivery.QUEUED, now()
        settlement = settling.settle(held.claim, result, standing, at, self.timing, jitter())
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, held.head.id, {**shortened, **settlement.request}, at=held.claim_time)
        if message is not None:
            self.replies.add_outcome(commit, held.thread_id, message, settlement.message, left_at=held.left_at, now=at)
        following = self._add_next_claim(progress, settlement, commit, at)
        if settlement.alert is not None:
            commit.raise_alert(_alert(settlement, progress, held), at)
        if result.outcome is Outcome.SENT:
            _end_alert(commit, progress.account, held, at)
        times = commit.run()
        if following is None:
            return _Recorded(settlement=settlement, following=None)
        head, claim, position = following
        next_held = _Held(head=head, claim=claim, claim_time=times[position], claimed_at=at)
        return _Recorded(settlement=settlement, following=next_held)

    def _add_next_claim(
        self, progress: _Progress, settlement: Settlement, commit: Commit, at: datetime
    ) -> tuple[Stored[Document], Claim, int] | None:
        """Without it other jobs would steal the head between two commits. Only of a request that is valid, and not too old as far as
        is known: the outcome of an attempt must not depend on another document."""
        if settlement.step is not NextStep.NEXT_HEAD or not progress.rows or time.monotonic() > progress.ends_at:
            return None
        head = progress.rows[0]
        state = outbox.queue_state(head.value)
        if state.is_held(at) or self._may_be_too_old(progress, head, at):
            return None
        if isinstance(outbox.parse_request(head.id, head.value), Refusal):
            return None
        claim, fields = outbox.claim(RequestId(head.id), state, at, self.timing)
        position = commit.update(schema.OUTBOX, head.id, fields, at=head.update_time)
        return head, claim, position

    def _after(self, progress: _Progress, held: _Held, settlement: Settlement, result: SendResult) -> JobEnd | None:
        if settlement.step is NextStep.NEXT_HEAD:
            if progress.held is not None:
                progress.rows.popleft()
            return None
        progress.rows.clear()
        if settlement.step is NextStep.LATER:
            progress.careful = True  # the next look finds the claim, and makes a job for its end
            return None
        # A session may have opened, and its flush may have found the head still held, between the answer and the commit.
        owner = self.owners.ready_after(progress.account, result)
        if owner is None:
            return JobEnd.ACCOUNT_NOT_READY
        progress.denials += 1
        is_away = result.outcome in (Outcome.UNREACHABLE, Outcome.NOT_OWNER) and owner == progress.asked
        if progress.denials == 1 and not is_away:
            return None
        if not expiry.is_past(held.head.value, now(), self.timing.sweep_age_s):
            self._ask_again(progress.job.thread_id, self.timing.away_s if is_away else self.timing.backoff_s)
        return JobEnd.ACCOUNT_NOT_READY

    def _ask_again(self, thread: ThreadId, interval_s: float) -> None:
        """By one job a thread and interval, however many have met the same no: each of them would go on for as long as it lasts."""
        number, at = next_turn(thread, now(), interval_s)
        self.queue.enqueue(Job(thread_id=thread), f"{thread}|again|{interval_s}|{number}", at)

    def _claim_lost(
        self, progress: _Progress, held: _Held, result: SendResult, current: Stored[Document] | None
    ) -> JobEnd | None:
        """The claim ran out while this job waited, and another has the head. Only `sent` is proven: that is still written."""
        progress.careful = True
        if result.outcome is not Outcome.SENT:
            return None
        until_committed(
            lambda conflicts: self._write_proof(
                held, current if conflicts == 0 else self.stores.request(held.request_id)
            ),
            "a proven send could not be written",
        )
        return None

    def _write_proof(self, held: _Held, current: Stored[Document] | None) -> None:
        """Raises Conflict."""
        message, at, commit = self._message(held), now(), self.stores.commit()
        if current is not None and outbox.queue_state(current.value).status is RequestStatus.FAILED:
            fields = outbox.finished_fields(RequestStatus.SENT, None, at)
            commit.update(schema.OUTBOX, current.id, fields, at=current.update_time)
            commit.resolve_alert(alert_id(ErrorCode.OUTCOME_UNKNOWN, current.id), at)
        if message is not None and message.value.delivery and not proves_sent(message.value.delivery):
            proven: dict[str, object] = {"delivery": str(Delivery.SENT), "error": None}
            self.replies.add_outcome(commit, held.thread_id, message, proven, left_at=held.left_at, now=at)
        commit.run()

    def _follow_up(self, job: Job, head: Stored[Document], held_until: datetime) -> None:
        """One job for the end of a claim, whoever asks for it: its name follows from head, attempts and claimUntil."""
        attempts = outbox.queue_state(head.value).attempts
        key = f"{head.id}|{attempts}|{round(held_until.timestamp() * 1000)}"
        hop = (
            job.hop + 1 if job.key == key else 0
        )  # a job that meets its own claim was early: it may not wait for itself
        follow_up = replace(job, key=key, hop=hop)
        self.queue.enqueue(follow_up, f"{key}|{hop}", held_until + timedelta(seconds=self.timing.claim_margin_s))

    def _say_why(self, head: Stored[Document], account: AccountId, reason: NobodyReady) -> None:
        """A queue that waits for its account is left untouched, unless an operator must act: then its head says so, once."""
        if reason.code is not ErrorCode.ENDPOINT_NOT_ALLOWED:
            return
        error = described(reason.code, "the account's connector is not on the allow-list; the message waits")
        if head.value.get("lastError") == error:
            return
        log.endpoint_not_allowed(account)
        commit = self.stores.commit()
        commit.update(schema.OUTBOX, head.id, {"lastError": error}, at=head.update_time)
        commit.raise_alert(
            Alert(
                code=reason.code,
                cause=account,
                account_id=account,
                message="The account's lease names a connector address that is not on the allow-list; its messages wait.",
                about=f"{schema.LEASES}/{account}",
            ),
            now(),
        )
        try:
            commit.run()
        except Conflict:
            return  # the head moved, or Firestore gave up: the next job says so

    def _message(self, held: _Held) -> Stored[StoredMessage] | None:
        return self.stores.message(self._message_id(held))

    def _message_id(self, held: _Held) -> WaMessageId:
        return wa_message_id(held.thread_id, outbound_key(held.request_id))


def _end_alert(commit: Commit, account: AccountId, held: _Held, at: datetime) -> None:
    """What this message had waited for has ended: it is sent."""
    waited_for = code_of(held.head.value.get("lastError"))
    if waited_for in (ErrorCode.CONNECTOR_REFUSED, ErrorCode.ENDPOINT_NOT_ALLOWED):
        commit.resolve_alert(alert_id(waited_for, account), at)


def _alert(settlement: Settlement, progress: _Progress, held: _Held) -> Alert:
    code = settlement.alert
    assert code is not None
    of_account = code in (ErrorCode.CONNECTOR_REFUSED, ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.NOT_SENT)
    messages = {
        ErrorCode.CONNECTOR_REFUSED: "The connector refuses the functions' calls; the account's messages wait.",
        ErrorCode.ACCOUNT_UNKNOWN: "Requests name an account that does not exist; they failed.",
        ErrorCode.NOT_SENT: "Messages of the account could not be handed to WhatsApp in any attempt; they failed.",
        ErrorCode.OUTCOME_UNKNOWN: "No attempt of a message got an answer; it may or may not have reached the contact.",
    }
    return Alert(
        code=code,
        cause=progress.account if of_account else held.head.id,
        account_id=progress.account,
        thread_id=None if of_account else progress.job.thread_id,
        about=f"{schema.OUTBOX}/{held.head.id}",
        message=messages.get(code, "A request could not be sent; its document says why."),
    )
