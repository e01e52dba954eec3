"""Alerts that a session raises: closed when the account is connected again, and open again when it happens again."""

from tests.connector.conftest import Shared
from tests.connector.stage import new_phone
from tests.waiting import wait_until


def test_a_sessions_alert_is_over_when_its_account_is_connected_and_back_when_it_ends_again(shared: Shared) -> None:
    stage, ours = shared.stage, new_phone()
    account = stage.paired_account(shared.connector, ours)

    def is_open() -> list[bool]:
        return [alert["resolvedAt"] is None for alert in stage.alerts(account)]

    for count in (1, 2):
        stage.network.replace(ours)
        wait_until(lambda: is_open() == [True], "the alert is open")
        (alert,) = stage.alerts(account)
        assert (alert["type"], alert["count"], alert["expireAt"]) == ("replaced", count, None)
        stage.network.reconnect(ours)
        shared.connector.poke(account)
        stage.await_connected(account)
        wait_until(lambda: is_open() == [False], "the alert is over")
    (alert,) = stage.alerts(account)
    assert alert["createdAt"] < alert["lastAt"] < alert["resolvedAt"] < alert["expireAt"]
