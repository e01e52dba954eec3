"""A ban: nothing is tried while it lasts, whoever owns the account; it opens by itself when the time is over that WhatsApp said."""

from datetime import UTC, datetime, timedelta

from core import schema
from core.account import CommandKind
from core.ids import AccountId
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Stage, new_phone
from tests.connector.test_sending import new_key
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)
CHAT = "40799999999@s.whatsapp.net"


def open_alerts(stage: Stage, account: AccountId) -> list[str]:
    return [alert["type"] for alert in stage.alerts(account) if alert["resolvedAt"] is None]


def test_a_ban_says_until_when_stops_everything_and_opens_by_itself_when_it_is_over(shared: Shared) -> None:
    stage, connector, ours = shared.stage, shared.connector, new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.refuse_logins(ours, 402, seconds=6)
    banned = stage.await_status(account, "error", disconnectReason="temporary_ban")
    assert banned["lastError"].startswith("banned: ")
    left = banned["bannedUntil"] - datetime.now(UTC)
    assert timedelta(seconds=1) < left < timedelta(seconds=7)
    assert connector.send(account, CHAT, new_key()) == {"outcome": "not_connected", "reason": "banned"}
    wait_until(lambda: open_alerts(stage, account) == ["banned"], "the alert")
    stage.network.reconnect(ours)  # nobody asks: it is the time that opens it
    back = stage.await_connected(account)
    assert datetime.now(UTC) > banned["bannedUntil"]
    assert (back["bannedUntil"], back["lastError"]) == (None, None)
    wait_until(lambda: open_alerts(stage, account) == [], "the alert is over")


def test_a_new_owner_opens_nothing_while_the_ban_lasts_unless_it_is_asked(stage: Stage) -> None:
    connector, ours = stage.start_connector(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.refuse_logins(ours, 402, seconds=3600)
    stage.await_status(account, "error", disconnectReason="temporary_ban")
    losses = stage.account(account)["reconnectCount"]
    stage.network.reconnect(ours)
    other = stage.start_connector()
    assert stage.stop(connector) == 0
    wait_until(lambda: stage.lease(account).owner == other.worker, "another owner")
    stage.command(other, account, CommandKind.CLOSE_GAP)  # nobody asks for a session by it
    stays(lambda: not stage.is_connected(account), "it was opened although it is banned", 2.0)
    told = stage.account(account)
    assert (told["status"], told["reconnectCount"]) == ("error", losses)
    other.poke(account)
    stage.await_connected(account, bannedUntil=None)


def test_a_ban_of_the_owner_before_is_over_for_the_next_one_too(shared: Shared) -> None:
    """The next owner is the same worker in another term, which knows nothing of the one before but what stands."""
    stage, connector = shared.stage, shared.connector
    account = stage.paired_account(connector, new_phone())
    stage.want(connector, account, False)
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    soon = datetime.now(UTC) + timedelta(seconds=3)
    stage.db.collection(schema.ACCOUNTS).document(account).update({"bannedUntil": soon})
    stage.want(None, account, True)  # a poke that came after the claim would be somebody who asks
    stage.await_connected(account, bannedUntil=None)
    assert datetime.now(UTC) > soon
