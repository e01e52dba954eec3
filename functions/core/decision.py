"""What people may do with a request that stands: its creator takes it back, a super-admin decides about one whose end is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.delivery import Delivery, proves_sent
from core.errors import ErrorCode, code_of, described
from core.ids import RequestId, request_id, short_hash
from core.outbox import RESEND_PREFIX, QueueState, Refusal, Request, RequestStatus, finished_fields, queue_state
from core.settling import NextStep, Settlement, failed, finished_as_sent


class Decision(StrEnum):
    """What a super-admin says of a message of which nobody knows whether the contact got it."""

    RESEND = "resend"
    """It is sent again, as a new message: the contact may get it twice. Only of one that has failed."""
    MARK_SENT = "markSent"
    MARK_FAILED = "markFailed"


@dataclass(frozen=True, kw_only=True)
class DecidedBy:
    uid: str
    email: str | None


def cancelled(document: Mapping[str, object], standing: Delivery, now: datetime) -> Settlement | Refusal:
    """The end of a request that its creator takes back. A claim makes it `sending`, so one that is queued is nobody's."""
    state = queue_state(document)
    if state.status is RequestStatus.QUEUED and not proves_sent(standing):
        return failed(standing, ErrorCode.CANCELLED, "its creator took it back before it was sent", now)
    detail = f"the message cannot be taken back: {_why_not(state, standing, now)}"
    return Refusal(code=ErrorCode.NOT_CANCELLABLE, detail=detail)


def _why_not(state: QueueState, standing: Delivery, now: datetime) -> str:
    if proves_sent(standing) or state.status is RequestStatus.SENT:
        return "it was sent"
    if state.status is RequestStatus.FAILED:
        return "it has failed"
    if state.status is RequestStatus.SENDING and not state.is_attempt_under_way(now):
        return "an attempt was made and its end is not known; a super-admin can decide about it"
    return "it is being sent"


def is_cancelled(document: Mapping[str, object]) -> bool:
    is_failed = queue_state(document).status is RequestStatus.FAILED
    return is_failed and code_of(document.get("lastError")) is ErrorCode.CANCELLED


def is_made_already(document: Mapping[str, object], decision: Decision) -> bool:
    return document.get("decision") == decision


def problem(
    document: Mapping[str, object], standing: Delivery, now: datetime, wanted: Decision | None = None
) -> Refusal | None:
    """Why there is nothing to decide about a request, or nothing of the wanted kind; None where nobody knows whether it was sent."""
    state = queue_state(document)
    detail = None
    if isinstance(document.get("decision"), str):
        detail = f"it was decided already: {document['decision']}"
    elif proves_sent(standing) or state.status is RequestStatus.SENT:
        detail = "WhatsApp has taken the message"
    elif state.status is RequestStatus.FAILED and code_of(document.get("lastError")) is not ErrorCode.OUTCOME_UNKNOWN:
        detail = "the message provably did not leave"
    elif state.is_attempt_under_way(now):
        detail = "an attempt is under way, or about to be made; ask again in half a minute"
    elif state.status not in (RequestStatus.SENDING, RequestStatus.FAILED):
        detail = "the message waits to be sent"
    elif wanted is Decision.RESEND and not may_be_resent(document):
        detail = (
            "it is tried again by itself under its own id, with which the contact gets it once; sent as a new message he could get "
            "it twice. Resend it when it has failed, or decide markSent or markFailed"
        )
    return Refusal(code=ErrorCode.NOT_UNCERTAIN, detail=detail) if detail else None


TAKEN = "a request stands already under the id under which it would be sent again; decide markSent or markFailed"


def may_be_resent(document: Mapping[str, object]) -> bool:
    return queue_state(document).status is RequestStatus.FAILED


def original_of(document: Mapping[str, object]) -> RequestId | None:
    """The request in whose place one is sent again."""
    original = document.get("resendOf")
    return RequestId(original) if isinstance(original, str) else None


def decided(decision: Decision, request: Request, by: DecidedBy, standing: Delivery, now: datetime) -> Settlement:
    """What a decision changes; who made it stands in the request. Later proof still makes a message sent that counts as failed."""
    record: dict[str, object] = {
        "decision": str(decision),
        "decidedByUid": by.uid,
        "decidedByEmail": by.email,
        "decidedAt": now,
    }
    if decision is Decision.MARK_SENT:
        ended = finished_as_sent(standing, now)
        return Settlement(request={**ended.request, **record}, message=ended.message, step=ended.step)
    if decision is Decision.RESEND:
        record["resentAs"] = resent(request, now)[0]
    details = {
        Decision.RESEND: "a super-admin had it sent again, as a new message",
        Decision.MARK_FAILED: "a super-admin decided that it counts as failed",
    }
    error = described(ErrorCode.OUTCOME_UNKNOWN, details[decision])
    message: dict[str, object] = {"delivery": str(Delivery.FAILED), "error": error}
    ended_fields = finished_fields(RequestStatus.FAILED, error, now)
    return Settlement(request={**ended_fields, **record}, message=message, step=NextStep.NEXT_HEAD)


def resent(original: Request, now: datetime) -> tuple[RequestId, dict[str, object]]:
    """The same text as a new request, in the name of its creator, at the end of the queue. Its id follows from the original's,
    so that a decision that is made twice sends once."""
    client_message_id = f"{RESEND_PREFIX}{short_hash(original.request_id)}"
    chat = original.chat_id
    return request_id(original.thread_id, chat, original.text, client_message_id), {
        "threadId": original.thread_id,
        "accountId": original.account_id,
        "chatId": chat,
        "to": chat,
        "text": original.text,
        "clientMessageId": client_message_id,
        "createdByUid": original.created_by_uid,
        "createdByEmail": original.created_by_email,
        "createdAt": now,
        "status": str(RequestStatus.QUEUED),
        "attempts": 0,
        "resendOf": original.request_id,
    }


def known(document: Mapping[str, object], standing: Delivery | None) -> dict[str, object]:
    """What is known of a request, as an answer in JSON, to find the message on the phone by. It names people: never for a log."""
    return {
        "status": document.get("status"),
        "attempts": queue_state(document).attempts,
        "lastError": document.get("lastError"),
        "lastTriedAt": _time(document.get("lastTriedAt")),
        "delivery": str(standing) if standing else None,
        "waMessageKey": document.get("waMessageKey"),
        "createdAt": _time(document.get("createdAt")),
        "createdByUid": document.get("createdByUid"),
        "createdByEmail": document.get("createdByEmail"),
        "decision": document.get("decision"),
        "decidedAt": _time(document.get("decidedAt")),
        "decidedByUid": document.get("decidedByUid"),
        "decidedByEmail": document.get("decidedByEmail"),
        "resentAs": document.get("resentAs"),
    }


def _time(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None
