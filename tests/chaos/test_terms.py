"""What came from a session after its owner's term, and frames after the limit of their sends, are findings; what was on its way is none."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from core.account import parse_lease
from core.ids import AccountId
from local.chaos.terms import Allowed, Login, Version, in_network_time, late_frames, outside_terms, taken_over
from local.network.account import End, Opening
from local.network.world import Frame

SHOP = AccountId("shop")


def version(since_s: float, owner: str | None, until_s: float, claimed_s: float) -> Version:
    document = {"ownerInstanceId": owner, "leaseUntil": _at(until_s), "epoch": 1, "recentClaims": [_at(claimed_s)]}
    return Version(since_s=since_s, lease=parse_lease(document))


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


CLAIMED = version(100, "a", 124, claimed_s=100)
RENEWED = version(108, "a", 132, claimed_s=100)
GIVEN_BACK = version(120, None, 0, claimed_s=100)
ANOTHERS = version(140, "b", 164, claimed_s=140)


@pytest.mark.parametrize(
    ("versions", "login_s", "taken_s", "is_late"),
    [
        ([CLAIMED], 101, 102, False),
        ([CLAIMED], 101, 124.4, False),
        ([CLAIMED], 101, 125, True),
        ([CLAIMED, RENEWED], 101, 125, False),
        ([CLAIMED, RENEWED], 101, 133, True),
        ([CLAIMED, RENEWED, GIVEN_BACK], 101, 120.4, False),
        ([CLAIMED, RENEWED, GIVEN_BACK], 101, 121, True),
        ([CLAIMED, RENEWED, ANOTHERS], 101, 141, True),
        ([CLAIMED, RENEWED, ANOTHERS], 140.2, 141, False),
        ([CLAIMED, RENEWED, ANOTHERS], 139, 141, True),
    ],
)
def test_what_is_taken_while_no_lease_covers_its_login_is_a_finding(
    versions: Sequence[Version], login_s: float, taken_s: float, *, is_late: bool
) -> None:
    login = Login(account=SHOP, began_s=login_s, taken_s=[login_s, taken_s] if login_s != 139 else [taken_s])
    assert len(list(outside_terms([login], {SHOP: versions}))) == is_late


@pytest.mark.parametrize("ahead_s", [5.0, -5.0])
def test_a_lease_begins_and_ends_when_its_owners_clock_says_so(ahead_s: float) -> None:
    """An owner whose clock is wrong is held to the same term as another."""
    fields = {"ownerInstanceId": "a", "endpoint": "http://a", "epoch": 1}
    lease = parse_lease({**fields, "leaseUntil": _at(124 + ahead_s), "recentClaims": [_at(50), _at(100 + ahead_s)]})
    meant = in_network_time(lease, {"http://a": ahead_s, "http://b": 1.0})
    assert (meant.lease_until, meant.recent_claims) == (_at(124), (_at(50), _at(100)))
    assert in_network_time(lease, {"http://b": 1.0}) == lease


def test_an_owner_that_goes_on_is_one_finding_with_the_first_time_of_many() -> None:
    login = Login(account=SHOP, began_s=101, taken_s=[102, 126, 127, 128])
    (finding,) = outside_terms([login], {SHOP: [CLAIMED]})
    assert finding.what == "3 times something came from a session, 2.0 s after its term"


@pytest.mark.parametrize(
    ("recorded_at", "is_late"), [(9.0, False), (10.6, True), (12.0, False), (20.4, False), (20.6, True)]
)
def test_a_frame_after_the_last_limit_of_its_sends_is_a_finding(recorded_at: float, *, is_late: bool) -> None:
    frame = Frame(account="", contact="", whatsapp_id="K", text="", attempt=1, recorded_at=recorded_at)
    allowed = {
        "K": [Allowed(from_s=5, until_s=10), Allowed(from_s=11.5, until_s=20)],
        "L": [Allowed(from_s=5, until_s=99)],
    }
    assert len(list(late_frames([frame], allowed))) == is_late


def test_a_session_that_was_open_when_another_owner_came_is_a_finding_and_one_that_ended_before_is_none() -> None:
    ends = [End.CLOSED, End.TERM_OVER, End.TAKEN_OVER, None]
    openings = [
        Opening(account_id=SHOP, epoch=epoch, opened_at=100.0, ended_at=None, ended_by=end)
        for epoch, end in enumerate(ends, start=1)
    ]
    assert [finding.what for finding in taken_over(openings)] == [
        "its session under epoch 3 was open when another owner came"
    ]
