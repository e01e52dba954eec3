"""Which of two workers hands over, and how a lease stores a request."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from core.account import claim_fields, new_lease_document, parse_lease, release_fields
from core.hand_over import HandOverRequest, parse_hand_over
from core.ids import WorkerId

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WORKERS = [
    HandOverRequest(worker=WorkerId("b"), started_at=NOON),
    HandOverRequest(worker=WorkerId("a"), started_at=NOON),
    HandOverRequest(worker=WorkerId("a-later"), started_at=NOON + timedelta(microseconds=1)),
]


@pytest.mark.parametrize(("one", "other"), list(permutations(WORKERS, 2)))
def test_of_two_workers_that_ask_each_other_exactly_one_hands_over(
    one: HandOverRequest, other: HandOverRequest
) -> None:
    answers = [
        one.is_newer_than(other.worker, other.started_at),
        other.is_newer_than(one.worker, one.started_at),
    ]
    assert sorted(answers) == [False, True]


def test_a_worker_never_hands_over_to_itself() -> None:
    assert not WORKERS[0].is_newer_than(WORKERS[0].worker, WORKERS[0].started_at)


def test_a_request_outlives_the_release_and_ends_with_the_claim() -> None:
    """Until it is claimed, others must see for whom the account was given back."""
    claimed = new_lease_document(NOON) | claim_fields(
        parse_lease(new_lease_document(NOON)), WorkerId("old"), "http://shard", NOON, 24
    )
    asked = claimed | {"handOverTo": WORKERS[2].document()}
    released = asked | release_fields(NOON)
    assert parse_lease(released).hand_over_to == WORKERS[2]
    again = released | claim_fields(parse_lease(released), WorkerId("a-later"), "http://shard", NOON, 24)
    assert parse_lease(again).hand_over_to is None


def test_only_an_owner_of_a_version_that_knows_requests_heeds_them() -> None:
    new = new_lease_document(NOON)
    assert not parse_lease(new).owner_heeds_requests, "whoever creates the account may be newer than its owner"
    claimed = new | claim_fields(parse_lease(new), WorkerId("w"), "http://shard", NOON, 24)
    assert parse_lease(claimed).owner_heeds_requests


@pytest.mark.parametrize(
    "value", [None, "w", {}, {"workerId": "w"}, {"workerId": "", "startedAt": NOON}, {"workerId": "w", "startedAt": 1}]
)
def test_what_is_no_request_is_none(value: object) -> None:
    assert parse_hand_over(value) is None
