"""An owner that was frozen past its term, or cut off from Firestore until its end, does nothing more for the account: WhatsApp gets no frame
of it, the engine no acknowledgement, Firestore no write."""

import signal
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from core import schema
from core.ids import AccountId
from local.processes import Child
from local.whatsapp import NetworkKind
from tests.connector.stage import Connector, Stage, new_phone, send_body
from tests.connector.test_engine_process import logged
from tests.connector.test_ownership import claim_as_another
from tests.connector.test_sending import new_key
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Owned:
    """An account with a contact, and what stands of it in Firestore."""

    stage: Stage
    account: AccountId
    ours: str
    theirs: str
    chat: str

    def standing(self) -> tuple[object, ...]:
        """When each document was written last, and which rows there are."""
        lease, account = (
            self.stage.db.collection(name).document(self.account).get().update_time
            for name in (schema.LEASES, schema.ACCOUNTS)
        )
        return lease, account, sorted(self.stage.rows(self.account))

    def write(self, text: str) -> str:
        return f"{self.stage.network.write(self.theirs, self.ours, text)}-in"


def owned(stage: Stage, connector: Connector) -> Owned:
    ours, theirs = new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    chat = stage.network.add_contact(theirs, "Ana").lid
    return Owned(stage=stage, account=account, ours=ours, theirs=theirs, chat=chat)


def asked_to_send(owner: Connector, of: Owned, key: str, callers: ThreadPoolExecutor) -> "Future[httpx.Response]":
    """A POST that waits in the frozen owner's socket."""
    body = send_body(of.account, of.chat, key, "hello", within_s=120)
    return callers.submit(owner.post, "/v1/send", body, timeout_s=60)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_a_connector_that_wakes_up_after_its_term_does_nothing(stage: Stage, _round: int) -> None:
    """Its engine was awake, and has closed the session by itself: what it had handed over waits in the connector's socket."""
    connector = stage.start_connector()
    of, key = owned(stage, connector), new_key()
    with ThreadPoolExecutor() as callers:
        connector.freeze()
        of.write("waits in its socket")
        sending = asked_to_send(connector, of, key, callers)
        wait_until(lambda: not stage.is_open(of.account), "the engine has closed the session")
        claim_as_another(stage, of.account)
        before = of.standing()
        connector.thaw()
        answer = sending.result().json()
    assert answer["outcome"] in ("not_owner", "not_connected")
    wait_until(lambda: logged(connector, "lease_lost"), "it knows")
    stays(lambda: of.standing() == before, "it wrote", 1)
    assert stage.unacknowledged(of.account) == 1
    assert stage.network.frames(whatsapp_id=key) == []
    assert not stage.is_open(of.account)


def test_an_owner_that_cannot_reach_firestore_ends_by_itself_and_not_before_its_deadline(
    stage: Stage, firestore_stops: Child
) -> None:
    connector = stage.start_connector()
    of, key = owned(stage, connector), new_key()
    renewed_until = stage.lease(of.account).lease_until
    wait_until(
        lambda: stage.lease(of.account).lease_until > renewed_until, "a renewal"
    )  # almost its whole term is ahead
    firestore_stops.process.send_signal(signal.SIGSTOP)
    row = of.write("waits for its commit")
    wait_until(lambda: connector.metric('connector_events_total{kind="message"}'), "the connector has the event")
    assert connector.send(of.account, of.chat, key) == {"outcome": "sent"}, "the session is not touched"
    wait_until(lambda: not stage.is_open(of.account), "it has fenced itself")
    late = new_key()
    assert connector.send(of.account, of.chat, late)["outcome"] in ("not_owner", "not_connected")
    assert stage.unacknowledged(of.account) > 0
    firestore_stops.process.send_signal(signal.SIGCONT)
    stage.await_row(of.account, row)
    stage.await_connected(of.account)
    stage.await_acknowledged(of.account)
    assert stage.lease(of.account).epoch == 2
    assert stage.network.frames(whatsapp_id=late) == []
