"""The engine knows the end of its owner's term: it goes on for as long as the lease is renewed, and ends by itself when it is not."""

from datetime import UTC, datetime

from local.whatsapp import NetworkKind
from tests.connector.stage import LEASE_TTL_S, Stage, new_phone
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
