"""A request in its thread's queue: what makes it valid, who holds it, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.errors import ErrorCode, described
from core.ids import (
    AccountId,
    ChatId,
    InvalidId,
    RequestId,
    ThreadId,
    WaMessageKey,
    account_id,
    client_message_id,
    dedupe_key,
    is_direct,
    outbound_key,
    parse_thread_id,
    thread_id,
)
from core.pacing import Hold
from core.text import MAX_TEXT_UTF16_UNITS, utf16_units
from core.timing import Timing

MAX_ATTEMPTS = 8
MAX_HOLD_S = 3600.0
"""No claim and no waiting lasts longer: a claimUntil beyond it is nobody's."""
MAX_UID_CHARACTERS = 128
MAX_EMAIL_CHARACTERS = 320
MAX_DOCUMENT_BYTES = 64 * 1024
"""As Firestore counts a document's fields: a request of the rules' making has far fewer, and the server must have room for its own."""
_SCALAR_BYTES = 8
_OTHER_BYTES = 6 * 1024
"""No client may write a value of another type. The largest that Firestore has is a reference, with a path of 6 KiB."""
_SHORTENED_CHARACTERS = 200
RESEND_PREFIX = "resend-"
"""Of the clientMessageId of what is sent again: a client that could take it first would stand in the way of a decision."""
RETENTION_DAYS = 90
"""How long a finished request is kept."""


class RequestStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request whose fields and id were checked; the creator's rights were proven by the rules."""

    request_id: RequestId
    thread_id: ThreadId
    account_id: AccountId
    chat_id: ChatId
    text: str
    created_by_uid: str
    created_by_email: str | None
    created_at: datetime

    @property
    def key(self) -> WaMessageKey:
        return outbound_key(self.request_id)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request is not accepted. `detail` quotes none of its content."""

    code: ErrorCode
    detail: str


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """Where a request stands in its queue, however malformed the rest of its document is."""

    status: RequestStatus | None
    attempts: int
    claim_until: datetime | None
    last_tried_at: datetime | None = None
    held_by: Hold | None = None
    """What its account's pace holds it back by until claim_until, whether it is queued or in doubt. A claim ends it."""

    def is_finished(self) -> bool:
        return self.status in (RequestStatus.SENT, RequestStatus.FAILED)

    def is_held(self, now: datetime) -> bool:
        return self.claim_until is not None and now < self.claim_until < now + timedelta(seconds=MAX_HOLD_S)

    def is_held_as_cold(self, now: datetime) -> bool:
        """Whether it waits only because it is cold, until it is due or its contact writes."""
        return self.is_held(now) and self.waits_as_cold()

    def waits_as_cold(self) -> bool:
        return self.held_by in (Hold.COLD_LIMIT, Hold.COLD_LOCKED)

    def is_attempt_under_way(self, now: datetime, claim_s: float = Timing().claim_s) -> bool:
        """Whether a job may be at it. An attempt's claim is short: what holds a request for longer is what came of the attempt."""
        if self.status is not RequestStatus.SENDING or not self.is_held(now) or self.held_by is not None:
            return False
        if self.claim_until is None or self.last_tried_at is None:
            return True
        return self.claim_until - self.last_tried_at <= timedelta(seconds=claim_s)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job's right to send a request until `until`; `not_after` is when the last frame may leave."""

    attempts: int
    until: datetime
    not_after: datetime
    in_doubt: bool = False
    """An earlier attempt ended without an answer: whatever this one proves of itself, that one's frame may have left."""

    @property
    def is_exhausted(self) -> bool:
        """The last attempt went unanswered and its frame can no longer leave: only now is it over."""
        return self.attempts > MAX_ATTEMPTS


class Outcome(StrEnum):
    """What is known after an attempt. The first eight are the connector's words."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    NOT_CONNECTED = "not_connected"
    NOT_OWNER = "not_owner"
    NOT_BEFORE = "not_before"
    EXPIRED = "expired"
    NO_ANSWER = "no_answer"
    """No answer, a broken one, or a 5xx (a proxy's, perhaps): the frame may still leave until notAfter."""
    REFUSED = "refused"
    """The connector refused the call itself: nothing left."""
    UNREACHABLE = "unreachable"
    """No connection to the connector came about, or a platform had no instance of it: nothing was handed over."""
    EXHAUSTED = "exhausted"
    INVALID = "invalid"
    """The request itself cannot be sent; `code` says why."""


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """`reason` is a short word or number of the connector's, never text or a phone number."""

    outcome: Outcome
    reason: str = ""
    not_before: datetime | None = None
    code: ErrorCode | None = None


def parse_request(request_id: str, document: Mapping[str, object]) -> Request | Refusal:
    """Checks again what the rules check of the fields that a send needs: a document may have been written by a server key."""
    if _bytes(document) > MAX_DOCUMENT_BYTES:
        return Refusal(
            code=ErrorCode.INVALID_REQUEST, detail="the document is too large; it may hold only the client's fields"
        )
    try:
        thread = document.get("threadId")
        account, chat = parse_thread_id(thread)
        client_message = client_message_id(document.get("clientMessageId"))
    except InvalidId as error:
        return Refusal(code=ErrorCode.INVALID_REQUEST, detail=str(error))
    text, uid, email = document.get("text"), document.get("createdByUid"), document.get("createdByEmail")
    created_at = document.get("createdAt")
    problem = _text_problem(text)
    if not isinstance(uid, str) or not 0 < len(uid) <= MAX_UID_CHARACTERS:
        problem = problem or f"createdByUid must be a string of 1 to {MAX_UID_CHARACTERS} characters"
    if email is not None and (not isinstance(email, str) or len(email) > MAX_EMAIL_CHARACTERS):
        problem = problem or f"createdByEmail must be a string of at most {MAX_EMAIL_CHARACTERS} characters"
    if problem:
        return Refusal(code=ErrorCode.INVALID_REQUEST, detail=problem)
    if not isinstance(created_at, datetime):
        return Refusal(code=ErrorCode.INVALID_REQUEST, detail="createdAt must be a timestamp")
    assert isinstance(text, str)
    assert isinstance(uid, str)
    if document.get("accountId") != account or document.get("chatId") != chat or document.get("to") != chat:
        return Refusal(code=ErrorCode.WRONG_REQUEST_ID, detail="accountId, chatId and to must be those of the threadId")
    thread_checked = thread_id(account, chat)
    if request_id != f"{thread_checked}_{dedupe_key(thread_checked, chat, text, client_message)}":
        return Refusal(
            code=ErrorCode.WRONG_REQUEST_ID,
            detail="the document's id is not threadId_sha256(threadId|to|text|clientMessageId)",
        )
    if not is_direct(chat):
        return Refusal(code=ErrorCode.CHAT_NOT_SUPPORTED, detail="messages to groups cannot be sent yet")
    return Request(
        request_id=RequestId(request_id),
        thread_id=thread_checked,
        account_id=account,
        chat_id=chat,
        text=text,
        created_by_uid=uid,
        created_by_email=email if isinstance(email, str) else None,
        created_at=created_at,
    )


def account_of(document: Mapping[str, object]) -> AccountId | None:
    """The account that a request names, even if the rest of the request is malformed. None if it names none."""
    try:
        return parse_thread_id(document.get("threadId"))[0]
    except InvalidId:
        pass
    try:
        return account_id(document.get("accountId"))
    except InvalidId:
        return None


def new_request_problem(document: Mapping[str, object]) -> Refusal | None:
    """What only holds at creation, as the rules demand it: queued, held by nobody, not tried yet."""
    state, client_message = queue_state(document), document.get("clientMessageId")
    if isinstance(client_message, str) and client_message.startswith(RESEND_PREFIX) and "resendOf" not in document:
        detail = f"clientMessageId must not begin with {RESEND_PREFIX}, which is kept for what is sent again"
        return Refusal(code=ErrorCode.INVALID_REQUEST, detail=detail)
    if state.status is RequestStatus.QUEUED and state.attempts == 0 and document.get("claimUntil") is None:
        return None
    return Refusal(
        code=ErrorCode.INVALID_REQUEST, detail="a new request's status must be queued, without attempts and claimUntil"
    )


def queue_state(document: Mapping[str, object]) -> QueueState:
    status, attempts, until = document.get("status"), document.get("attempts"), document.get("claimUntil")
    tried_at, held_by = document.get("lastTriedAt"), document.get("heldBy")
    return QueueState(
        status=RequestStatus(status) if isinstance(status, str) and status in list(RequestStatus) else None,
        attempts=attempts if isinstance(attempts, int) and not isinstance(attempts, bool) else 0,
        claim_until=until if isinstance(until, datetime) else None,
        last_tried_at=tried_at if isinstance(tried_at, datetime) else None,
        held_by=Hold(held_by) if isinstance(held_by, str) and held_by in list(Hold) else None,
    )


def claim(request_id: RequestId, state: QueueState, now: datetime, timing: Timing) -> tuple[Claim, dict[str, object]]:
    """One more attempt, and the fields that say so. A claim beyond the limit sends nothing: it ends the request."""
    taken = Claim(
        attempts=state.attempts + 1,
        until=now + timedelta(seconds=timing.claim_s),
        not_after=now + timedelta(seconds=timing.post_s),
        in_doubt=state.status is RequestStatus.SENDING,
    )
    fields: dict[str, object] = {
        "status": str(RequestStatus.SENDING),
        "claimUntil": taken.until,
        "attempts": min(taken.attempts, MAX_ATTEMPTS),
        "lastTriedAt": now,
        "waMessageKey": outbound_key(request_id),
        "dedupeKey": request_id.rpartition("_")[2],
    }
    if state.held_by is not None:
        fields["heldBy"] = None  # what is at work on it now may not be overtaken as a hold may be
    return taken, fields


def unclaimed_fields(document: Mapping[str, object]) -> dict[str, object]:
    """Undoes a claim under which nothing was tried: the fields as they were before, of the document as it was read then."""
    state = queue_state(document)
    return {
        "status": str(state.status or RequestStatus.QUEUED),
        "claimUntil": None,
        "attempts": state.attempts,
        "lastTriedAt": state.last_tried_at,
    }


def refused_fields(refusal: Refusal, now: datetime) -> dict[str, object]:
    return finished_fields(RequestStatus.FAILED, described(refusal.code, refusal.detail), now)


def shortened_fields(document: Mapping[str, object]) -> dict[str, object]:
    """The document's long strings, cut: of one that fills Firestore's limit, so that its error finds room."""
    return {
        name: value[:_SHORTENED_CHARACTERS]
        for name, value in document.items()
        if isinstance(value, str) and len(value) > _SHORTENED_CHARACTERS
    }


def finished_fields(status: RequestStatus, error: str | None, now: datetime) -> dict[str, object]:
    """The last write to a request, but for a proof that comes later, or a decision about one whose end is unknown."""
    return {
        "status": str(status),
        "claimUntil": None,
        "heldBy": None,
        "lastError": error,
        "expireAt": now + timedelta(days=RETENTION_DAYS),
    }


def _bytes(value: object) -> int:
    """At least as many as Firestore counts, field names included (https://cloud.google.com/firestore/docs/storage-size)."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass")) + 1
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_bytes(name) + _bytes(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(_bytes(inner) for inner in value)
    return _SCALAR_BYTES if value is None or isinstance(value, int | float | datetime) else _OTHER_BYTES


def _text_problem(text: object) -> str | None:
    if not isinstance(text, str) or not text:
        return "text must be a string that is not empty"
    if utf16_units(text) > MAX_TEXT_UTF16_UNITS:
        return f"text must not pass {MAX_TEXT_UTF16_UNITS} UTF-16 units"
    return None
