"""What WhatsApp does to a session, as the account's document tells it (docs/sessions.md): over both networks in the same words."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from core.ids import AccountId, WorkerId
from local.network.trouble import Break
from local.project import ROOT
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Connector, Stage, new_phone
from tests.connector.test_sending import new_key
from tests.waiting import wait_until

NETWORKS = tuple(NetworkKind)
PING_S = 1.5
"""For a test of the real engine: between pings, and for their answer."""

LOSSES = {
    "stream error 503": (Break.STREAM_ERROR, 503, "stream_error_503"),
    "stream error 515 in a session that is linked already": (Break.STREAM_ERROR, 515, "stream_error_515"),
    "unknown stream error": (Break.STREAM_ERROR, 599, "stream_error_599"),
    "TCP abort": (Break.RESET, 503, "disconnected"),
    "half-closed socket": (Break.HALF_CLOSE, 503, "disconnected"),
    "unanswered pings": (Break.SILENCE, 503, "keepalive_timeout"),
}
ENDS = {
    "opened elsewhere": (None, "replaced", "conflict", 0),
    "login failure 402": (402, "banned", "temporary_ban", 1),
    "login failure 405, with the newest version too": (405, "outdated", "client_outdated", 1),
}
REMOVALS = {
    "logged out on the phone": (None, "device_removed", 0),
    "login failure 401": (401, "connect_failure_401", 1),
    "login failure 403": (403, "connect_failure_403", 1),
}


@pytest.fixture(scope="module")
def module_connector(module_stage: Stage) -> Connector:
    return module_stage.start_connector(WIRE_PING_MS=str(int(PING_S * 1000)))


@dataclass(frozen=True, kw_only=True)
class Paired:
    """An account that is connected."""

    stage: Stage
    connector: Connector
    account: AccountId
    ours: str

    def alerts(self) -> list[tuple[str, str, int]]:
        found = self.stage.alerts(self.account)
        return [(alert["type"], alert["severity"], alert["count"]) for alert in found]

    def pause(self) -> None:
        self.stage.want(self.connector, self.account, False)
        self.stage.await_status(self.account, "disconnected", assignedWorkerId=None)
        wait_until(lambda: self.stage.lease(self.account).owner is None, "the lease is given back")

    def resume(self) -> None:
        self.stage.want(self.connector, self.account, True)

    def cannot_send(self) -> bool:
        chat = "40799999999@s.whatsapp.net"
        return bool(self.connector.send(self.account, chat, new_key())["outcome"] == "not_connected")


@pytest.fixture
def paired(shared: Shared) -> Paired:
    ours = new_phone()
    account = shared.stage.paired_account(shared.connector, ours)
    return Paired(stage=shared.stage, connector=shared.connector, account=account, ours=ours)


@pytest.mark.parametrize(("how", "code", "reason"), LOSSES.values(), ids=LOSSES)
def test_a_lost_connection_is_told_and_counted_and_comes_back_without_pairing(
    paired: Paired, how: Break, code: int, reason: str
) -> None:
    stage, account = paired.stage, paired.account
    # A connection that comes before the last one's flush is answered takes that flush's place.
    wait_until(lambda: stage.flush.flushed.count(account) == 1, "the first connection's flush")
    stage.network.disconnect(paired.ours, how, code)
    lost = stage.await_status(account, "reconnecting")
    assert (lost["disconnectReason"], lost["reconnectCount"], lost["lastError"]) == (reason, 1, None)
    assert paired.cannot_send()
    stage.network.reconnect(paired.ours)
    back = stage.await_connected(account)
    assert (back["disconnectReason"], back["reconnectCount"]) == (None, 1)
    assert paired.alerts() == []
    wait_until(lambda: stage.flush.flushed.count(account) == 2, "each connection is followed by a flush")


def test_a_login_that_is_refused_for_a_while_is_tried_again(paired: Paired) -> None:
    stage, account = paired.stage, paired.account
    paired.pause()
    stage.network.refuse_logins(paired.ours, 503)
    paired.resume()
    refused = stage.await_status(account, "reconnecting")
    assert (refused["disconnectReason"], refused["reconnectCount"]) == ("connect_failure_503", 1)
    stage.network.reconnect(paired.ours)
    assert stage.await_connected(account)["reconnectCount"] == 1
    assert paired.alerts() == []


@pytest.mark.parametrize(("login_failure", "code", "reason", "losses"), ENDS.values(), ids=ENDS)
def test_a_session_that_whatsapp_ends_says_why_is_kept_and_opens_again_when_asked(
    paired: Paired, login_failure: int | None, code: str, reason: str, losses: int
) -> None:
    stage, account = paired.stage, paired.account
    if login_failure is None:
        stage.network.replace(paired.ours)
    else:
        stage.network.refuse_logins(paired.ours, login_failure)
    ended = stage.await_status(account, "error")
    assert ended["lastError"].startswith(f"{code}: ")
    assert (ended["disconnectReason"], ended["reconnectCount"]) == (reason, losses)
    assert paired.cannot_send()
    wait_until(paired.alerts, "an alert")
    assert paired.alerts() == [(code, "error", 1)]

    stage.network.reconnect(paired.ours)
    paired.connector.poke(account)
    back = stage.await_connected(account)
    assert (back["lastError"], back["disconnectReason"]) == (None, None)


@pytest.mark.parametrize(("login_failure", "reason", "losses"), REMOVALS.values(), ids=REMOVALS)
def test_a_device_that_was_removed_needs_a_new_code_from_its_own_number(
    paired: Paired, login_failure: int | None, reason: str, losses: int
) -> None:
    stage, connector, account = paired.stage, paired.connector, paired.account
    if login_failure is None:
        stage.network.log_out(paired.ours)
    else:
        stage.network.refuse_logins(paired.ours, login_failure)
    removed = stage.await_status(account, "needs_qr")
    assert removed["lastError"].startswith("logged_out: ")
    assert (removed["disconnectReason"], removed["reconnectCount"]) == (reason, losses)
    assert removed["phoneE164"] == paired.ours
    assert not stage.is_linked(account)
    assert paired.cannot_send()
    wait_until(paired.alerts, "an alert")
    assert paired.alerts() == [("logged_out", "error", 1)]

    stage.scan(new_phone(), account, stage.shown_qr(connector, account))
    assert stage.await_status(account, "error")["lastError"].startswith("other_number: ")
    stage.pair(connector, account, paired.ours)
    assert stage.account(account)["lastError"] is None


def test_a_device_that_was_removed_while_paused_says_so_when_it_is_resumed(paired: Paired) -> None:
    stage, account = paired.stage, paired.account
    paired.pause()
    stage.network.log_out(paired.ours)
    paired.resume()
    removed = stage.await_status(account, "needs_qr")
    assert (removed["disconnectReason"], removed["reconnectCount"]) == ("connect_failure_401", 0)
    stage.pair(paired.connector, account, paired.ours)


def test_an_alert_that_an_operator_closed_is_open_again_when_it_happens_again(paired: Paired) -> None:
    stage, account = paired.stage, paired.account
    stage.network.log_out(paired.ours)
    wait_until(lambda: stage.alerts(account), "an alert")
    (first,) = stage.alerts(account)
    (document,) = stage.db.collection(schema.ALERTS).where(filter=FieldFilter("accountId", "==", account)).stream()
    document.reference.update({"resolvedAt": first["createdAt"]})
    stage.await_status(account, "needs_qr")
    stage.pair(paired.connector, account, paired.ours)
    stage.network.log_out(paired.ours)
    wait_until(lambda: stage.alerts(account)[0]["count"] == 2, "it is counted")
    (again,) = stage.alerts(account)
    assert again["resolvedAt"] is None
    assert again["lastAt"] > first["lastAt"]
    assert again["createdAt"] == first["createdAt"]


def test_a_stream_that_ends_is_opened_again(simulated_stage: Stage) -> None:
    """The real engine's streams end with it: test_real_engine.py."""
    stage, ours, connector = simulated_stage, new_phone(), simulated_stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.reset()
    stage.await_status(account, "needs_qr")
    stage.pair(connector, account, ours)
    assert stage.lease(account).epoch == 1


def test_without_its_engine_a_connector_says_so_and_claims_when_it_is_there(simulated_stage: Stage) -> None:
    """Until then another worker does better."""
    account, missing = simulated_stage.create_account(), Path(f"{simulated_stage.socket}-missing")
    connector = simulated_stage.start_connector(ENGINE_SOCKET=str(missing))
    assert connector.get("/healthz").status_code == 200
    ready = connector.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {"firestore": True, "engine": False, "takesWork": True}
    connector.poke(account)
    assert simulated_stage.lease(account).epoch == 0
    (ROOT / missing).symlink_to(ROOT / simulated_stage.socket)
    wait_until(lambda: simulated_stage.lease(account).is_held_by(WorkerId(connector.worker), 1), "the account's owner")


def test_the_documentation_says_what_is_so() -> None:
    table = [line.split("|")[1:-1] for line in (ROOT / "docs/sessions.md").read_text().splitlines() if line[:1] == "|"]
    said = {
        cells[0].split("(")[0].strip(): [cell.partition("(")[0].strip(" `") for cell in cells[1:5]] for cells in table
    }
    for name, (_, _, reason) in LOSSES.items():
        assert said[name] == ["reconnecting", reason, "", ""]
    for name, (_, code, reason, _) in ENDS.items():
        assert said[name] == ["error", reason, code, "yes"]
    for name, (_, reason, _) in REMOVALS.items():
        assert said[name] == ["needs_qr", reason, "logged_out", "yes"]
    # test_restored_store.py does it.
    assert said["the session store is older than the session was"] == [
        "needs_qr",
        "store_behind",
        "store_behind",
        "yes",
    ]
