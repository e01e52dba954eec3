"""The account's document follows what happens to the session."""

from collections.abc import Callable

import pytest
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from local.network.client import Network
from tests.connector.stage import Stage, new_phone
from tests.waiting import wait_until


def test_a_broken_connection_is_told_and_counted_until_it_stands_again(stage: Stage) -> None:
    ours = new_phone()
    account = stage.paired_account(stage.start_connector(), ours)
    # A connection that comes before the last one's flush is answered takes that flush's place.
    wait_until(lambda: stage.flush.flushed == [account], "the first connection's flush")
    stage.network.disconnect(ours, "stream_error_503")
    broken = stage.await_status(account, "reconnecting")
    assert (broken["disconnectReason"], broken["reconnectCount"]) == ("stream_error_503", 1)
    stage.network.reconnect(ours)
    assert stage.await_status(account, "connected")["disconnectReason"] is None
    wait_until(lambda: stage.flush.flushed == [account] * 2, "each connection is followed by a flush")


def test_a_device_removed_on_the_phone_needs_a_new_code_and_an_operator(stage: Stage) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.log_out(ours)
    out = stage.await_status(account, "needs_qr")
    assert out["lastError"].startswith("logged_out: ")
    wait_until(lambda: stage.alerts(account), "an alert")
    assert [alert["type"] for alert in stage.alerts(account)] == ["logged_out"]
    stage.pair(connector, account, ours)


def test_an_alert_that_an_operator_closed_is_open_again_when_it_happens_again(stage: Stage) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.log_out(ours)
    wait_until(lambda: stage.alerts(account), "an alert")
    (first,) = stage.alerts(account)
    (document,) = stage.db.collection(schema.ALERTS).where(filter=FieldFilter("accountId", "==", account)).stream()
    document.reference.update({"resolvedAt": first["createdAt"]})
    stage.await_status(account, "needs_qr")
    stage.pair(connector, account, ours)
    stage.network.log_out(ours)
    wait_until(lambda: stage.alerts(account)[0]["count"] == 2, "it is counted")
    (again,) = stage.alerts(account)
    assert again["resolvedAt"] is None
    assert again["createdAt"] > first["createdAt"]


@pytest.mark.parametrize(
    ("end", "code"), [(Network.replace, "replaced"), (Network.ban, "banned"), (Network.make_outdated, "outdated")]
)
def test_a_session_that_ended_for_good_says_why_and_opens_again_when_asked(
    stage: Stage, end: Callable[[Network, str], None], code: str
) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    end(stage.network, ours)
    ended = stage.await_status(account, "error")
    assert ended["lastError"].startswith(f"{code}: ")
    wait_until(lambda: stage.alerts(account), "an alert")
    assert [alert["type"] for alert in stage.alerts(account)] == [code]

    stage.network.reconnect(ours)
    connector.poke(account)
    assert stage.await_status(account, "connected")["lastError"] is None


def test_a_stream_that_ends_is_opened_again(stage: Stage) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.reset()
    stage.await_status(account, "needs_qr")
    stage.pair(connector, account, ours)
    assert stage.lease(account).epoch == 1


def test_without_its_engine_a_connector_says_so_and_goes_on_when_it_is_there(stage: Stage) -> None:
    account = stage.create_account()
    connector = stage.start_connector(ENGINE_SOCKET=f"{stage.socket}-missing")
    down = stage.await_status(account, "reconnecting")
    assert down["lastError"].startswith("engine_failed: ")
    assert connector.get("/healthz").status_code == 200
    ready = connector.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"firestore": True, "engine": False, "takesWork": True}
