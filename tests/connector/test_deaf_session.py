"""A session that is connected and hears nothing: it is opened anew, somebody is told, and all is well when something is heard."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.hearing import Pattern
from connector.silence import LEAST_SLOTS, Silence
from core import schema
from core.ids import AccountId
from core.timing import Timing
from local.network.faults import FaultKind
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import TIME_SCALE, Connector, Stage, new_phone
from tests.connector.test_engine_process import logged
from tests.connector.test_sending import new_key
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)
LOOK_S = Timing().scaled(TIME_SCALE).hearing_look_s
BUSY = Pattern(means=[10.0] * 168, weeks=[8] * 168)
"""Something is heard in ten of an hour's twelve slots, day and night."""


def put_hearing(stage: Stage, account: AccountId, *, missed: float, pattern: Pattern = BUSY) -> None:
    """The account as it stands after such a silence, for its next owner: the pattern cannot be waited for."""
    silence = Silence(least=timedelta(minutes=30), pattern=pattern, lasted=timedelta(minutes=50), missed=missed)
    stored = silence.stored(datetime.now(UTC))
    stage.db.collection(schema.LEASES).document(account).update({"hearing": stored})


def opened_again(stage: Stage, connector: Connector, account: AccountId) -> None:
    stage.want(connector, account, True)
    stage.await_connected(account)


def paused_account(stage: Stage, connector: Connector, ours: str) -> AccountId:
    account = stage.paired_account(connector, ours)
    stage.want(connector, account, False)
    stage.await_status(account, "disconnected", assignedWorkerId=None)
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    return account


def alerts(stage: Stage, account: AccountId) -> list[tuple[str, str, int, bool]]:
    found = stage.alerts(account)
    return [(each["type"], each["severity"], each["count"], each["resolvedAt"] is None) for each in found]


def hearing(stage: Stage, account: AccountId) -> Mapping[str, Any]:
    lease = stage.db.collection(schema.LEASES).document(account).get().to_dict() or {}
    found: Mapping[str, Any] = lease["hearing"]
    return found


def test_a_deaf_session_is_opened_anew_told_of_and_whole_when_something_is_heard(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = paused_account(stage, connector, ours)
    # Three seconds short of deaf, at ten slots an hour.
    put_hearing(stage, account, missed=LEAST_SLOTS - 10 * 3 / 3600)
    stage.network.fault(FaultKind.DEAF, account=ours)
    opened_again(stage, connector, account)
    whatsapp_id = stage.network.write(theirs, ours, "can you hear me?")
    assert stage.rows(account).get(f"{whatsapp_id}-in") is None
    row = stage.await_row(account, f"{whatsapp_id}-in")
    assert row["payload"]["text"] == "can you hear me?"
    wait_until(lambda: alerts(stage, account) == [("deaf", "warning", 1, False)], "the alert is over")
    told = stage.await_connected(account, degraded=False, degradedReason=None, disconnectReason=None)
    assert told["reconnectCount"] == 1
    (probed,) = (line for line in logged(connector, "silence_probed") if line["accountId"] == account)
    assert probed["answered"] is True, "it was connected"
    (deaf,) = (line for line in logged(connector, "session_deaf") if line["accountId"] == account)
    assert (deaf["silentMinutes"], deaf["resets"]) == (50, 1)
    assert connector.send(account, f"{theirs[1:]}@s.whatsapp.net", new_key()) == {"outcome": "sent"}


def test_a_silence_that_a_reset_does_not_end_is_reset_once_stays_told_and_goes_to_the_next_owner(
    shared: Shared,
) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = paused_account(stage, connector, ours)
    put_hearing(stage, account, missed=LEAST_SLOTS)
    opened_again(stage, connector, account)
    told = stage.await_connected(account, degraded=True, disconnectReason=None)
    assert told["degradedReason"].startswith("deaf: nothing was heard for 50 minutes")
    assert alerts(stage, account) == [("deaf", "warning", 1, True)]
    wait_until(lambda: hearing(stage, account)["resetsInVain"] == 1, "the next owner would know")

    stored_at = hearing(stage, account)["at"]
    stage.want(connector, account, False)
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    assert hearing(stage, account)["at"] > stored_at, "as it was when it was given back, not of an hour ago"
    opened_again(stage, connector, account)
    assert stage.account(account)["degraded"] is True
    stays(lambda: stage.account(account)["reconnectCount"] == 1, "no further reset", 1.5 * LOOK_S)
    stage.network.write(theirs, ours, "good morning")
    stage.await_status(account, "connected", degraded=False, degradedReason=None)
    wait_until(lambda: alerts(stage, account) == [("deaf", "warning", 1, False)], "the alert is over")
    wait_until(lambda: hearing(stage, account)["resetsInVain"] == 0, "the next owner would know that, too")


def test_an_account_that_is_not_known_yet_is_not_judged(shared: Shared) -> None:
    stage, connector, ours = shared.stage, shared.connector, new_phone()
    account = paused_account(stage, connector, ours)
    put_hearing(stage, account, missed=100.0, pattern=Pattern(means=[10.0] * 168, weeks=[2] * 168))
    opened_again(stage, connector, account)
    stays(lambda: stage.account(account)["reconnectCount"] == 0, "no reset", 2.5 * LOOK_S)
    assert alerts(stage, account) == []
