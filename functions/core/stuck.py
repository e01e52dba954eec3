"""When a message stands still although its account is connected: late, held back by nothing, and taken up by nobody."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from core import expiry, outbox
from core.account import Lease
from core.errors import ErrorCode, code_of
from core.timing import Timing

_DENIALS = (ErrorCode.NOT_CONNECTED, ErrorCode.CONNECTOR_UNREACHABLE)
"""What a message says whose attempt was given back."""


def stands_still(request: Mapping[str, object], at: datetime, timing: Timing) -> bool:
    """Of a queue's head. A claim, a back-off or a hold is known to end, and a job comes for its end; but an attempt that follows on one
    that was given back may be given back, too. A connector's address that is not allowed has its own alert."""
    state, error = outbox.queue_state(request), code_of(request.get("lastError"))
    was_held = state.is_held(at - timedelta(seconds=timing.sweep_age_s))
    may_be_denied_again = error in _DENIALS and state.is_attempt_under_way(at, timing.claim_s)
    return (
        not state.is_finished()
        and expiry.is_past(request, at, timing.stuck_after_s)
        and (not was_held or may_be_denied_again)
        and error is not ErrorCode.ENDPOINT_NOT_ALLOWED
    )


def is_left_alone(request: Mapping[str, object], at: datetime, timing: Timing) -> bool:
    """Whether it stands still, and nobody is at work on it at this moment."""
    return stands_still(request, at, timing) and not outbox.queue_state(request).is_held(at)


def is_denied_by_a_living_owner(request: Mapping[str, object], lease: Lease, timing: Timing) -> bool:
    """Whether the last attempt was given back in a term that goes on: its owner has renewed the lease since, so it lives, and yet it
    could not be reached, or said that it is none, or not connected. Clocks that differ by less than a renewal's interval do no harm."""
    state = outbox.queue_state(request)
    if state.claim_until is not None or state.last_tried_at is None or not lease.recent_claims:
        return False
    # updatedAt is also that of a super-admin's wish.
    renewed_at = lease.lease_until - timedelta(seconds=timing.lease_ttl_s)
    return lease.recent_claims[-1] < state.last_tried_at < renewed_at - timedelta(seconds=timing.lease_renew_s)
