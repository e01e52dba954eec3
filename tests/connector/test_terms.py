"""The engine knows the end of its owner's term: it goes on for as long as the lease is renewed, and ends by itself when it is not."""

from datetime import UTC, datetime

import pytest

from local.network.account import End
from local.whatsapp import NetworkKind
from tests.connector.stage import LEASE_TTL_S, TIME_SCALE, Stage, new_phone
from tests.waiting import stays, wait_until

NETWORKS = (NetworkKind.SIMULATED,)


def test_a_session_goes_on_from_term_to_term(stage: Stage) -> None:
    """Without a break: each renewal moves the end that the engine knows."""
    connector = stage.start_connector()
    account = stage.paired_account(connector, new_phone())
    stays(lambda: stage.is_connected(account), "connected all the while", LEASE_TTL_S * 2)
    assert stage.account(account)["reconnectCount"] == 0
    assert "engine_failed" not in connector.child.log_text()


def test_an_engine_whose_owner_is_frozen_closes_the_session_before_the_lease_runs_out(stage: Stage) -> None:
    connector = stage.start_connector()
    account = stage.paired_account(connector, new_phone())
    connector.freeze()
    until = stage.lease(account).lease_until
    wait_until(lambda: not stage.is_open(account), "the session is closed")
    assert datetime.now(UTC) < until
    connector.thaw()
    stage.await_connected(account)
    assert stage.lease(account).epoch == 2, "it claims its own account anew"


@pytest.mark.parametrize("ahead_s", [5, -5])
def test_a_next_owner_whose_clock_differs_by_five_seconds_never_comes_too_early(stage: Stage, ahead_s: int) -> None:
    """It looks all the while, and claims as soon as its own clock lets it: the session has closed itself by then."""
    first = stage.start_connector()
    account = stage.paired_account(first, new_phone())
    clock = {"module": "local.production.skewed_connector", "CLOCK_AHEAD_S": str(ahead_s * TIME_SCALE)}
    second = stage.start_connector(wait=True, **clock)
    first.freeze()

    def is_claimed() -> bool:
        second.poke(account)
        return stage.lease(account).owner == second.worker

    wait_until(is_claimed, "the next owner claims it")
    first.thaw()
    stage.await_connected(account, assignedWorkerId=second.worker)
    former, present = stage.network.openings(account)
    assert (former.ended_by, present.ended_by) == (End.TERM_OVER, None)
    assert former.ended_at is not None
    assert former.ended_at <= present.opened_at
