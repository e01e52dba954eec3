"""`make bench` fails where a figure is worse than what the product promises: the emulators are not needed to see that."""

import pytest

from local.bench.backlogs import check_repeated
from local.bench.failover import check_worst
from local.bench.ground import BenchFailed
from local.bench.outage import check_memory
from local.bench.sessions import check_pace


def test_what_was_measured_before_is_within_the_bounds() -> None:
    check_worst("killed", [23.4, 25.5], 30.0)
    check_repeated("a hot chat", 0, 500)
    check_repeated("a hot chat", 5, 500)
    check_pace(16)
    check_memory(1024)


def test_an_account_that_was_away_too_long_fails_the_bench() -> None:
    with pytest.raises(BenchFailed, match=r"1 of 3 accounts .* more than 3 s, the worst after 3\.2 s"):
        check_worst("asked to end", [0.6, 3.2, 2.5], 3.0)


def test_events_that_are_worked_on_again_and_again_fail_the_bench() -> None:
    with pytest.raises(BenchFailed, match="6 invocations more than the 500"):
        check_repeated("a hot chat", 6, 500)


def test_sessions_that_come_faster_than_the_pace_fail_the_bench() -> None:
    with pytest.raises(BenchFailed, match="21 sessions came within a second, and the pace allows 20"):
        check_pace(21)


def test_an_outage_that_takes_more_memory_than_a_container_has_fails_the_bench() -> None:
    with pytest.raises(BenchFailed, match="connector and engine took 1025 MB, and the aim is 1024 MB"):
        check_memory(1025)
