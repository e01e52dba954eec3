"""How old a request may become in its queue, and how it ends when it is older: nothing goes out stale."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.delivery import Delivery, proves_sent
from core.errors import ErrorCode
from core.outbox import QueueState, RequestStatus
from core.settling import Settlement, failed, finished_as_sent
from core.timing import Timing


def limit_s(account: Mapping[str, object] | None, timing: Timing) -> float:
    """An account's own limit (queueLimitS), or the product's: also where it is 0, null, or no number."""
    own = account.get("queueLimitS") if account is not None else None
    if not isinstance(own, int | float) or isinstance(own, bool) or not own > 0:
        return timing.queue_limit_s
    return max(float(own), timing.queue_limit_least_s)


def is_past(request: Mapping[str, object], now: datetime, limit: float) -> bool:
    """Whether a request has waited for more than `limit` seconds."""
    created_at = request.get("createdAt")
    return isinstance(created_at, datetime) and now - created_at > timedelta(seconds=limit)


def end(state: QueueState, standing: Delivery, now: datetime) -> Settlement | None:
    """The end of a request that is past its limit; None while its frame may still leave.

    A queued one provably did not leave, and nothing of what its account's pace holds back is on its way. One that stands as sending had an attempt without an answer: what became of it stays
    unknown, and is said to be.
    """
    if state.status is RequestStatus.SENDING and state.is_held(now) and state.held_by is None:
        return None
    if proves_sent(standing):
        return finished_as_sent(standing, now)
    if state.status is RequestStatus.SENDING:
        detail = "it waited longer than its account allows, after an attempt without an answer; it may have reached the contact"
        return failed(standing, ErrorCode.OUTCOME_UNKNOWN, detail, now)
    detail = "the message waited longer than its account allows; it did not leave"
    return failed(standing, ErrorCode.EXPIRED, detail, now)
