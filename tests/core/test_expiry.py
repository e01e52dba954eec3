from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import expiry, outbox
from core.delivery import Delivery
from core.errors import ErrorCode
from core.settling import NextStep, Settlement
from core.timing import Timing

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
T = Timing()
DAY_S = 24 * 3600.0
S = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("account", "limit_s"),
    [
        (None, DAY_S),
        ({}, DAY_S),
        ({"queueLimitS": None}, DAY_S),
        ({"queueLimitS": 0}, DAY_S),
        ({"queueLimitS": -1}, DAY_S),
        ({"queueLimitS": True}, DAY_S),
        ({"queueLimitS": "3600"}, DAY_S),
        ({"queueLimitS": float("nan")}, DAY_S),
        ({"queueLimitS": 3600}, 3600.0),
        ({"queueLimitS": 1800.5}, 1800.5),
        ({"queueLimitS": 2 * DAY_S}, 2 * DAY_S),
        ({"queueLimitS": 1}, 300.0),
    ],
)
def test_an_accounts_limit_is_its_own_or_a_day(account: dict[str, Any] | None, limit_s: float) -> None:
    assert expiry.limit_s(account, T) == limit_s


@pytest.mark.parametrize(("age", "is_past"), [(-S, False), (0 * S, False), (60 * S, False), (61 * S, True)])
def test_a_request_is_past_its_limit_when_it_is_older(age: timedelta, is_past: bool) -> None:
    assert expiry.is_past({"createdAt": AT - age}, AT, 60) is is_past


def test_a_request_without_a_time_is_not_past_its_limit() -> None:
    assert not expiry.is_past({"createdAt": "long ago"}, AT, 60)
    assert not expiry.is_past({}, AT, 60)


def end(standing: Delivery = Delivery.QUEUED, **document: Any) -> Settlement | None:
    return expiry.end(outbox.queue_state({"status": "queued"} | document), standing, AT)


def test_a_queued_request_past_its_limit_fails_as_expired_and_frees_its_chat() -> None:
    done = end()
    assert done is not None
    assert (done.request["status"], done.message["delivery"], done.step) == ("failed", "failed", NextStep.NEXT_HEAD)
    assert str(done.request["lastError"]).startswith("expired: ")
    assert done.message["error"] == done.request["lastError"]
    assert done.alert is ErrorCode.EXPIRED


def test_a_request_whose_frame_may_still_leave_is_not_ended() -> None:
    assert end(status="sending", claimUntil=AT + S) is None


@pytest.mark.parametrize(
    ("held", "error"),
    [
        ({"status": "queued"}, "expired: "),
        ({"status": "queued", "heldBy": "cold_limit"}, "expired: "),
        ({"status": "sending", "heldBy": "cold_limit"}, "outcome_unknown: "),
    ],
)
def test_a_request_that_only_waits_is_ended_before_its_time(held: dict[str, Any], error: str) -> None:
    done = end(claimUntil=AT + S, **held)
    assert done is not None
    assert str(done.request["lastError"]).startswith(error)


def test_a_request_with_an_attempt_without_an_answer_is_not_said_to_have_stayed() -> None:
    done = end(status="sending", claimUntil=AT - S)
    assert done is not None
    assert str(done.request["lastError"]).startswith("outcome_unknown: ")
    assert done.alert is ErrorCode.OUTCOME_UNKNOWN


@pytest.mark.parametrize("standing", [Delivery.SENT, Delivery.DELIVERED, Delivery.READ])
def test_a_request_whose_message_stands_as_sent_ends_as_sent_however_old(standing: Delivery) -> None:
    done = end(standing, status="sending")
    assert done is not None
    assert (done.request["status"], done.message, done.alert) == ("sent", {}, None)
