"""A phone that sleeps: it is pinged before WhatsApp unlinks the account, and somebody is warned."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core import schema
from core.ids import AccountId
from local.network.faults import FaultKind
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Connector, Stage, new_phone
from tests.connector.test_deaf_session import alerts, opened_again, paused_account
from tests.connector.test_engine_process import logged
from tests.waiting import wait_until

NETWORKS = tuple(NetworkKind)


def not_seen_for(stage: Stage, account: AccountId, days: float) -> datetime:
    """The account's document says so: the days cannot be waited for."""
    at = datetime.now(UTC) - timedelta(days=days)
    stage.db.collection(schema.ACCOUNTS).document(account).update({"phoneLastSeenAt": at})
    return at


def seen_at(stage: Stage, account: AccountId) -> Any:
    return stage.account(account)["phoneLastSeenAt"]


def pings(connector: Connector, account: AccountId) -> int:
    return sum(line["accountId"] == account for line in logged(connector, "phone_pinged"))


def test_a_phone_is_seen_when_it_links_the_account(shared: Shared) -> None:
    before = datetime.now(UTC)
    account = shared.stage.paired_account(shared.connector, new_phone())
    assert before <= seen_at(shared.stage, account) <= datetime.now(UTC)


def test_a_phone_that_answers_a_ping_is_seen_again(shared: Shared) -> None:
    stage, connector = shared.stage, shared.connector
    account = paused_account(stage, connector, new_phone())
    before = not_seen_for(stage, account, 10.5)
    opened_again(stage, connector, account)
    wait_until(lambda: seen_at(stage, account) > before + timedelta(days=10), "the phone is seen")
    assert pings(connector, account) == 1
    assert alerts(stage, account) == []


def test_a_phone_that_was_seen_nine_days_ago_is_left_alone(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = paused_account(stage, connector, ours)
    not_seen_for(stage, account, 9)
    opened_again(stage, connector, account)
    stage.network.type_on_phone(ours, theirs, "typed on the phone")
    wait_until(lambda: seen_at(stage, account) > datetime.now(UTC) - timedelta(days=1), "the phone is seen")
    assert pings(connector, account) == 0


def test_somebody_is_warned_of_a_phone_that_stays_away_and_all_is_well_when_it_is_back(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = paused_account(stage, connector, ours)
    stage.network.fault(FaultKind.PHONE_OFF, account=ours)
    not_seen_for(stage, account, 12.5)
    opened_again(stage, connector, account)
    warned = stage.await_connected(account, degraded=True)
    assert warned["degradedReason"].startswith("phone_not_seen: the phone was last seen ")
    wait_until(lambda: alerts(stage, account) == [("phone_not_seen", "warning", 1, True)], "the warning")

    stage.want(connector, account, False)
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    opened_again(stage, connector, account)
    assert stage.account(account)["degraded"] is True, "the next owner knows"

    stage.network.type_on_phone(ours, theirs, "typed on the phone")
    back = stage.await_connected(account, degraded=False, degradedReason=None)
    assert back["phoneLastSeenAt"] > datetime.now(UTC) - timedelta(days=1)
    wait_until(lambda: alerts(stage, account) == [("phone_not_seen", "warning", 1, False)], "the warning is over")


def test_days_pass_until_the_warning(simulated_stage: Stage) -> None:
    """With days of 0.3 s: the phone is pinged from the tenth day on, before anybody is warned."""
    stage, ours = simulated_stage, new_phone()
    connector = stage.start_connector(PHONE_DAY_S="0.3")
    account = stage.paired_account(connector, ours)
    stage.network.fault(FaultKind.PHONE_OFF, account=ours, times=None)
    stage.await_connected(account, degraded=True)
    assert pings(connector, account) >= 1
