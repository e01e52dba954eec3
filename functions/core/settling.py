"""What each outcome of a send does to its request and message."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from core.delivery import Delivery, is_forward, proves_sent
from core.errors import CATALOGUE, ErrorCode, code_of, described
from core.outbox import (
    MAX_ATTEMPTS,
    MAX_HOLD_S,
    Claim,
    Outcome,
    RequestStatus,
    SendResult,
    finished_fields,
)
from core.pacing import Hold
from core.timing import Timing


class NextStep(StrEnum):
    NEXT_HEAD = "next_head"
    """The request is finished."""
    LATER = "later"
    """It is held until claimUntil."""
    WAIT = "wait"
    """It is queued and unheld, and somebody will wake its queue."""


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What is committed after an attempt. `message` is empty where the message stays as it is."""

    request: dict[str, object]
    message: dict[str, object]
    step: NextStep
    alert: ErrorCode | None = None


def settle(
    taken: Claim, result: SendResult, standing: Delivery, now: datetime, timing: Timing, jitter: float
) -> Settlement:
    """What an attempt's result does to a request and its message. `jitter` lies between 0 and 1."""
    settlement = _settle_alone(taken, result, standing, now, timing, jitter)
    return _with_the_doubt_kept(settlement, standing, now) if taken.in_doubt else settlement


def _settle_alone(
    taken: Claim, result: SendResult, standing: Delivery, now: datetime, timing: Timing, jitter: float
) -> Settlement:
    if proves_sent(standing) or result.outcome is Outcome.SENT:
        return finished_as_sent(standing, now)
    match result.outcome:
        case Outcome.REJECTED if result.reason == "no_account":
            return failed(standing, ErrorCode.NOT_ON_WHATSAPP, "the number has no WhatsApp account", now)
        case Outcome.REJECTED:
            return failed(standing, ErrorCode.REJECTED, f"WhatsApp refused the message ({result.reason})", now)
        case Outcome.INVALID:
            return failed(standing, result.code or ErrorCode.INVALID_REQUEST, result.reason, now)
        case Outcome.EXHAUSTED:
            return _given_up(standing, now)
        case Outcome.NO_ANSWER:
            return Settlement(
                request={
                    "lastError": described(ErrorCode.OUTCOME_UNKNOWN, "the connector did not answer; tried again")
                },
                message={},
                step=NextStep.LATER,
            )
        case Outcome.UNKNOWN if taken.attempts >= MAX_ATTEMPTS:
            return _given_up(standing, now)
        case Outcome.UNKNOWN:
            error = described(ErrorCode.OUTCOME_UNKNOWN, "WhatsApp did not answer; tried again under the same id")
            return _later(RequestStatus.SENDING, error, backoff_s(taken.attempts, timing, jitter), now)
        case Outcome.NOT_SENT | Outcome.EXPIRED if taken.attempts >= MAX_ATTEMPTS:
            return failed(standing, ErrorCode.NOT_SENT, "no attempt left; the message did not leave", now)
        case Outcome.NOT_SENT | Outcome.EXPIRED:
            error = described(
                ErrorCode.NOT_SENT, f"the message did not leave ({result.reason or result.outcome}); tried again"
            )
            return _later(RequestStatus.QUEUED, error, backoff_s(taken.attempts, timing, jitter), now)
        case Outcome.REFUSED:
            error = described(ErrorCode.CONNECTOR_REFUSED, f"the connector refused the call ({result.reason})")
            later = _later(RequestStatus.QUEUED, error, timing.backoff_max_s, now)
            return _attempt_given_back(later, taken, alert=ErrorCode.CONNECTOR_REFUSED)
        case Outcome.NOT_BEFORE:
            wait_s = (result.not_before - now).total_seconds() if result.not_before else timing.backoff_s
            wait_s = min(max(wait_s, 0), MAX_HOLD_S - 1)
            later = _later(RequestStatus.QUEUED, _why_held(result.reason), wait_s, now)
            return _attempt_given_back(_with_the_hold_named(later, result.reason), taken)
        case Outcome.NOT_CONNECTED | Outcome.NOT_OWNER:
            banned = "WhatsApp has banned the account for a time; " if result.reason == "banned" else ""
            return _waiting(taken, ErrorCode.NOT_CONNECTED, f"{banned}waits until the account is connected")
        case Outcome.UNREACHABLE:
            detail = f"the connector could not be reached ({result.reason}); nothing was handed over, tried again"
            return _waiting(taken, ErrorCode.CONNECTOR_UNREACHABLE, detail)
        case _:
            assert_never(result.outcome)


_HELD: Mapping[str, tuple[ErrorCode, str]] = {
    Hold.PACED: (ErrorCode.PACED, "it waits for its turn"),
    Hold.COLD_LIMIT: (ErrorCode.COLD_LIMIT, "today's messages to people who have not written are used up; it waits"),
    Hold.COLD_LOCKED: (
        ErrorCode.COLD_LOCKED,
        "WhatsApp refuses messages to people who have not written (463); it waits",
    ),
}


def _why_held(reason: str) -> str | None:
    return described(*_HELD[reason]) if reason in _HELD else None


def _with_the_hold_named(settlement: Settlement, reason: str) -> Settlement:
    """In a field of its own: of a request in doubt, `lastError` tells of the doubt."""
    return replace(settlement, request={**settlement.request, "heldBy": reason}) if reason in _HELD else settlement


def backoff_s(attempts: int, timing: Timing, jitter: float) -> float:
    """Doubles with each attempt from timing.backoff_s to backoff_max_s; jitter takes up to a fifth off or puts it on."""
    return min(timing.backoff_s * 2.0 ** (attempts - 1), timing.backoff_max_s) * (0.8 + 0.4 * jitter)


def finished_as_sent(standing: Delivery, now: datetime) -> Settlement:
    message: dict[str, object] = {"delivery": str(Delivery.SENT), "error": None}
    return Settlement(
        request=finished_fields(RequestStatus.SENT, None, now),
        message=message if is_forward(standing, Delivery.SENT) else {},
        step=NextStep.NEXT_HEAD,
    )


def failed(standing: Delivery, code: ErrorCode, detail: str, now: datetime) -> Settlement:
    """The end of a request, with an alert where the catalogue has an operator act."""
    error = described(code, detail)
    message: dict[str, object] = {"delivery": str(Delivery.FAILED), "error": error}
    request = finished_fields(RequestStatus.FAILED, error, now)
    if code is ErrorCode.OUTCOME_UNKNOWN:
        del request["expireAt"]  # it is kept until somebody has decided, or until proof comes
    return Settlement(
        request=request,
        message=message if is_forward(standing, Delivery.FAILED) else {},
        step=NextStep.NEXT_HEAD,
        alert=code if CATALOGUE[code].alert else None,
    )


def _with_the_doubt_kept(settlement: Settlement, standing: Delivery, now: datetime) -> Settlement:
    """Without its answer, an earlier attempt is proven only by `sent`; "did not leave" is true of the last one alone. A number
    that is not on WhatsApp got none of them."""
    status, error = settlement.request.get("status"), code_of(settlement.request.get("lastError"))
    if status == RequestStatus.QUEUED:
        doubt = described(ErrorCode.OUTCOME_UNKNOWN, _doubt_of(settlement.request.get("heldBy")))
        kept = {**settlement.request, "status": str(RequestStatus.SENDING), "lastError": doubt}
        return replace(settlement, request=kept)
    if status == RequestStatus.FAILED and error not in (ErrorCode.OUTCOME_UNKNOWN, ErrorCode.NOT_ON_WHATSAPP):
        detail = f"an earlier attempt got no answer and may have reached the contact; the last one ended as {error}"
        return failed(standing, ErrorCode.OUTCOME_UNKNOWN, detail, now)
    return settlement


def _doubt_of(held_by: object) -> str:
    why_held = f"; {_HELD[held_by][1]}" if isinstance(held_by, str) and held_by in _HELD else ""
    return f"an earlier attempt got no answer; tried again under the same id{why_held}"


def _given_up(standing: Delivery, now: datetime) -> Settlement:
    detail = f"no answer in {MAX_ATTEMPTS} attempts; the message may or may not have reached the contact"
    return failed(standing, ErrorCode.OUTCOME_UNKNOWN, detail, now)


def _later(status: RequestStatus, error: str | None, wait_s: float, now: datetime) -> Settlement:
    return Settlement(
        request={"status": str(status), "claimUntil": now + timedelta(seconds=wait_s), "lastError": error},
        message={},
        step=NextStep.LATER,
    )


def _waiting(taken: Claim, code: ErrorCode, detail: str) -> Settlement:
    waiting = Settlement(
        request={"status": str(RequestStatus.QUEUED), "claimUntil": None, "lastError": described(code, detail)},
        message={},
        step=NextStep.WAIT,
    )
    return _attempt_given_back(waiting, taken)


def _attempt_given_back(settlement: Settlement, taken: Claim, alert: ErrorCode | None = None) -> Settlement:
    """Waiting burns no attempt."""
    return Settlement(
        request={**settlement.request, "attempts": taken.attempts - 1},
        message=settlement.message,
        step=settlement.step,
        alert=alert,
    )
