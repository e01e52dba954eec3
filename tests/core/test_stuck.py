from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import stuck
from core.account import Lease, new_lease_document, parse_lease
from core.errors import ErrorCode, described
from core.timing import Timing

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
T = Timing()


def ago(seconds: float) -> datetime:
    return AT - timedelta(seconds=seconds)


def head(**changes: Any) -> dict[str, Any]:
    return {"status": "queued", "createdAt": ago(700), "claimUntil": None} | changes


def attempted(**changes: Any) -> dict[str, Any]:
    """An attempt is under way."""
    return head(status="sending", lastTriedAt=ago(2), claimUntil=ago(-28)) | changes


@pytest.mark.parametrize(
    "request_",
    [
        head(),
        head(status="sending"),
        head(status="sending", lastTriedAt=ago(100), claimUntil=ago(70)),
        attempted(lastError=described(ErrorCode.NOT_CONNECTED, "it waits")),
        attempted(lastError=described(ErrorCode.CONNECTOR_UNREACHABLE, "it waits")),
    ],
    ids=["untouched", "in doubt", "its claim is long over", "may be denied again", "may not be reached again"],
)
def test_a_late_head_that_nothing_holds_back_stands_still(request_: dict[str, Any]) -> None:
    assert stuck.stands_still(request_, AT, T)


@pytest.mark.parametrize(
    "request_",
    [
        head(createdAt=ago(500)),
        head(status="sent"),
        attempted(),
        head(status="sending", lastTriedAt=ago(40), claimUntil=ago(10)),
        head(claimUntil=ago(-60)),
        head(claimUntil=ago(10)),
        head(status="sending", claimUntil=ago(-60), heldBy="paced"),
        head(lastError=described(ErrorCode.ENDPOINT_NOT_ALLOWED, "it waits")),
    ],
    ids=[
        "young",
        "finished",
        "attempt under way",
        "its claim has just ended",
        "back-off",
        "its back-off has just ended",
        "paced in doubt",
        "has its own alert",
    ],
)
def test_any_other_does_not(request_: dict[str, Any]) -> None:
    assert not stuck.stands_still(request_, AT, T)


def lease(*, claimed_s: float = 300, renewed_s: float = 3) -> Lease:
    """A super-admin's wish was written just now."""
    until = ago(renewed_s - T.lease_ttl_s)
    document = new_lease_document(AT) | {"leaseUntil": until, "recentClaims": [ago(4000), ago(claimed_s)]}
    return parse_lease(document)


def test_an_owner_that_has_renewed_since_an_attempt_was_given_back_denies() -> None:
    assert stuck.is_denied_by_a_living_owner(head(lastTriedAt=ago(60)), lease(), T)


@pytest.mark.parametrize(
    ("request_", "standing"),
    [
        (head(lastTriedAt=ago(60)), lease(renewed_s=55)),
        (head(lastTriedAt=ago(60)), lease(claimed_s=30)),
        (head(), lease()),
        (head(lastTriedAt=ago(60), claimUntil=ago(-60)), lease()),
        (head(lastTriedAt=ago(60)), parse_lease(new_lease_document(ago(3)))),
    ],
    ids=["it may have died since", "another has claimed since", "never tried", "held", "no claim is known"],
)
def test_nobody_is_known_to_deny(request_: dict[str, Any], standing: Lease) -> None:
    assert not stuck.is_denied_by_a_living_owner(request_, standing, T)
