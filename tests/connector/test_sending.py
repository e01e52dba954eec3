"""A send's answer is what is proven, and nothing is sent twice or too late."""

import secrets
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from core.ids import AccountId
from local.network.faults import FaultKind
from local.processes import Child
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import LEASE_TTL_S, Connector, Stage, new_phone, send_body
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)


def new_key() -> str:
    return "3EB0" + secrets.token_hex(9).upper()


@dataclass(frozen=True, kw_only=True)
class Line:
    """A connected account and one contact."""

    stage: Stage
    connector: Connector
    account: AccountId
    ours: str
    theirs: str
    chat: str

    def send(self, key: str, text: str = "hello", *, within_s: float = 20.0) -> dict[str, str]:
        return self.connector.send(self.account, self.chat, key, text, within_s=within_s)

    def inbox(self) -> list[str]:
        return [message.whatsapp_id for message in self.stage.network.inbox(self.theirs)]


@pytest.fixture
def line(shared: Shared) -> Line:
    return connected_line(shared.stage, shared.connector)


@pytest.fixture
def own_line(stage: Stage) -> Line:
    """With a connector of its own, for a test that stops it or its Firestore."""
    return connected_line(stage, stage.start_connector())


def connected_line(stage: Stage, connector: Connector) -> Line:
    ours, theirs = new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    chat = stage.network.add_contact(theirs, "Ana").lid
    return Line(stage=stage, connector=connector, account=account, ours=ours, theirs=theirs, chat=chat)


def test_a_text_reaches_the_contact_under_the_given_id_and_its_receipt_comes_back(line: Line) -> None:
    key, text = new_key(), "zile 😀 'frumoase'\n\u0000"
    assert line.send(key, text) == {"outcome": "sent"}
    (frame,) = line.stage.network.frames(whatsapp_id=key)
    assert (frame.account, frame.contact, frame.text) == (line.ours, line.theirs, text)
    row = line.stage.await_row(line.account, f"{key}-receipt-delivered")
    assert row["payload"]["target"] == key


@pytest.mark.parametrize(
    ("fault", "answer", "frames"),
    [
        (FaultKind.REFUSE, {"outcome": "rejected", "reason": "479"}, 0),
        (FaultKind.NOT_SENT, {"outcome": "not_sent", "reason": "no_recipient_device"}, 0),
        (FaultKind.CUT, {"outcome": "sent"}, 2),
        (FaultKind.DROP, {"outcome": "unknown", "reason": "no_ack"}, 0),
    ],
)
def test_the_answer_says_what_the_engine_proved(
    line: Line, fault: FaultKind, answer: dict[str, str], frames: int
) -> None:
    key = new_key()
    line.stage.network.fault(fault, contact=line.theirs, code="479" if fault is FaultKind.REFUSE else None)
    assert line.send(key) == answer
    assert len(line.stage.network.frames(whatsapp_id=key)) == frames


def test_a_send_without_ack_ends_unknown_within_the_engines_time(line: Line) -> None:
    """The engine says so itself, before the connector's call would end."""
    line.stage.network.fault(FaultKind.SILENT, contact=line.theirs)
    assert line.send(new_key(), within_s=60) == {"outcome": "unknown", "reason": "no_ack"}


def test_an_engine_that_hangs_ends_unknown(line: Line) -> None:
    """One that the connector runs itself is killed before the call would end."""
    with line.stage.frozen_engine(line.connector):
        answer = line.send(new_key(), within_s=60)
    status = "unavailable" if line.stage.kind is NetworkKind.REAL else "deadline_exceeded"
    assert answer == {"outcome": "unknown", "reason": f"engine_{status}"}
    line.stage.await_connected(line.account)


def test_a_number_without_whatsapp_is_rejected_as_such(line: Line) -> None:
    answer = line.connector.send(line.account, "40999999999@s.whatsapp.net", new_key())
    assert answer == {"outcome": "rejected", "reason": "no_account"}


def test_nothing_leaves_after_its_time(line: Line) -> None:
    with line.stage.frozen_engine(line.connector):  # it is not even asked
        assert line.send(new_key(), within_s=-0.001) == {"outcome": "expired"}
    waiting = new_key()
    line.stage.network.fault(FaultKind.DELAY_BEFORE, account=line.ours, seconds=1.0)
    assert line.send(waiting, within_s=0.5) == {"outcome": "expired"}
    assert line.inbox() == []


def test_nothing_leaves_after_the_leases_deadline(own_line: Line, firestore_stops: Child) -> None:
    """The lease cannot be renewed while the engine holds the send back: another owner may be there when its time comes."""
    line, key = own_line, new_key()
    line.stage.network.fault(FaultKind.DELAY_BEFORE, account=line.ours, seconds=LEASE_TTL_S)
    firestore_stops.process.send_signal(signal.SIGSTOP)
    assert line.send(key, within_s=60)["outcome"] in ("expired", "not_connected", "not_owner", "not_sent", "unknown")
    wait_until(lambda: not line.stage.is_open(line.account), "the session is closed")
    firestore_stops.process.send_signal(signal.SIGCONT)
    line.stage.await_status(line.account, "connected")
    assert line.inbox() == []


def test_nothing_leaves_after_the_leases_deadline_though_the_connector_is_frozen(own_line: Line) -> None:
    """Nobody can tell the engine to close then: it was told the deadline with the send."""
    line = own_line
    line.stage.network.fault(FaultKind.DELAY_BEFORE, account=line.ours, seconds=LEASE_TTL_S + 1)
    body = send_body(line.account, line.chat, new_key(), "hello", within_s=60)
    with pytest.raises(httpx.ReadTimeout):
        line.connector.post("/v1/send", body, timeout_s=1.0)
    line.connector.freeze()
    stays(lambda: not line.inbox(), "it left although the lease had ended", LEASE_TTL_S + 2)
    line.connector.thaw()


def test_a_send_that_is_under_way_is_joined(line: Line) -> None:
    key, sent = new_key(), line.connector.metric('connector_sends_total{outcome="sent"}')
    line.stage.network.fault(FaultKind.DELAY_AFTER, contact=line.theirs, seconds=2.0)
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(line.send, key)
        wait_until(lambda: line.stage.network.frames(whatsapp_id=key), "the frame has left")
        others = [callers.submit(line.send, key) for _ in range(2)]
        assert [call.result() for call in (first, *others)] == [{"outcome": "sent"}] * 3
    assert [frame.attempt for frame in line.stage.network.frames(whatsapp_id=key)] == [1]
    assert line.connector.metric('connector_sends_total{outcome="sent"}') == sent + 1


def test_a_caller_that_goes_away_does_not_end_the_send(line: Line) -> None:
    key = new_key()
    line.stage.network.fault(FaultKind.DELAY_BEFORE, account=line.ours, seconds=2.0)
    with pytest.raises(httpx.ReadTimeout):
        line.connector.post("/v1/send", send_body(line.account, line.chat, key, "hello"), timeout_s=0.5)
    assert line.inbox() == []
    wait_until(line.inbox, "it leaves all the same")
    assert [frame.attempt for frame in line.stage.network.frames(whatsapp_id=key)] == [1]


def test_a_key_that_is_under_way_takes_no_other_text(line: Line) -> None:
    key = new_key()
    line.stage.network.fault(FaultKind.DELAY_AFTER, contact=line.theirs, seconds=2.0)
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(line.send, key)
        wait_until(lambda: line.stage.network.frames(whatsapp_id=key), "the frame has left")
        other = line.connector.post("/v1/send", send_body(line.account, line.chat, key, "other text"))
        assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_request")
        assert first.result() == {"outcome": "sent"}


def test_a_disconnected_account_sends_nothing(line: Line) -> None:
    line.stage.network.disconnect(line.ours)
    line.stage.await_status(line.account, "reconnecting")
    assert line.send(new_key()) == {"outcome": "not_connected"}
    line.stage.network.reconnect(line.ours)
    line.stage.await_connected(line.account)
    assert line.send(new_key()) == {"outcome": "sent"}


def test_a_connector_without_the_lease_sends_nothing(line: Line) -> None:
    other = line.stage.start_connector()
    assert other.send(line.account, line.chat, new_key()) == {"outcome": "not_owner"}
    assert other.send("no-such-account", line.chat, new_key()) == {"outcome": "not_owner"}
    line.stage.stop(other)
    assert line.inbox() == []


def test_a_number_is_looked_up(line: Line) -> None:
    path = f"/v1/accounts/{line.account}/is-on-whatsapp"
    known = line.connector.post(path, {"phoneE164": line.theirs})
    assert known.json() == {"registered": True, "chatId": line.chat}
    unknown = line.connector.post(path, {"phoneE164": "+40999999999"})
    assert unknown.json() == {"registered": False}
    line.stage.network.disconnect(line.ours)
    line.stage.await_status(line.account, "reconnecting")
    offline = line.connector.post(path, {"phoneE164": line.theirs})
    assert (offline.status_code, offline.json()["error"]["code"]) == (409, "not_connected")
    elsewhere = line.connector.post("/v1/accounts/nobody/is-on-whatsapp", {"phoneE164": line.theirs})
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (409, "not_connected")
