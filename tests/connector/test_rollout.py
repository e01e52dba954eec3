"""Two instances of one shard at one address, as during a Cloud Run rollout: the newer one takes the accounts over."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from google.cloud.firestore import DELETE_FIELD

from core import schema
from core.hand_over import HandOverRequest
from core.ids import AccountId, WorkerId
from identity.headers import token_headers
from tests.connector.stage import LEASE_TTL_S, Connector, Stage, new_phone, send_body
from tests.waiting import stays, wait_until

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_keys = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Two instances at the older one's address. The test chooses which of the two gets a call, as Cloud Run's router does."""

    stage: Stage
    older: Connector
    newer: Connector

    def call(self, instance: Connector, account: AccountId) -> str:
        """A send to the shared address that leads to this instance; returns its outcome."""
        body = send_body(account, "40711111111@s.whatsapp.net", f"3EB0{next(_keys):018d}", "hello")
        response = instance.post("/v1/send", body, headers=self.headers())
        assert response.status_code == 200, response.text
        return str(response.json()["outcome"])

    def notify(self, instance: Connector, account: AccountId) -> None:
        assert instance.post(f"/v1/accounts/{account}/poke", headers=self.headers()).status_code == 202

    def headers(self) -> Mapping[str, str]:
        """The token is for the shared address."""
        return token_headers(self.older.token())

    def owner(self, account: AccountId) -> str | None:
        return self.stage.lease(account).owner


def start_newer(stage: Stage, older: Connector, *, room: int = 500) -> Shard:
    newer = stage.start_connector(PUBLIC_ENDPOINT=older.url, MAX_ACCOUNTS=str(room))
    wait_until(lambda: newer.get("/readyz").status_code == 200, "the newer instance is ready")
    return Shard(stage=stage, older=older, newer=newer)


def paired(stage: Stage, connector: Connector, number: int) -> list[AccountId]:
    return [stage.paired_account(connector, new_phone()) for _ in range(number)]


def test_a_call_at_the_newer_instance_brings_it_all_accounts_of_the_older(stage: Stage) -> None:
    older = stage.start_connector()
    accounts = paired(stage, older, 3)
    shard = start_newer(stage, older)
    assert shard.call(shard.newer, accounts[0]) == "not_owner"
    for account in accounts:
        stage.await_status(account, "connected", assignedWorkerId=shard.newer.worker)
    leases = [stage.lease(account) for account in accounts]
    assert [(lease.owner, lease.endpoint, lease.epoch) for lease in leases] == [(shard.newer.worker, older.url, 2)] * 3
    assert [lease.hand_over_to for lease in leases] == [None] * 3, "the claim has cleared the request"
    for instance in (shard.older, shard.newer):
        assert instance.metric("connector_leases_lost_total") == 0


def test_without_a_call_the_older_instance_keeps_its_accounts(stage: Stage) -> None:
    """A revision that was deployed without traffic must not take accounts over."""
    older = stage.start_connector()
    (account,) = paired(stage, older, 1)
    shard = start_newer(stage, older)
    stays(lambda: shard.owner(account) == older.worker, "it stays with the older one", LEASE_TTL_S)
    assert shard.call(shard.older, account) != "not_owner"


def test_an_account_goes_over_once_however_calls_are_routed(stage: Stage) -> None:
    """Calls go on to both instances for a while. The older one asks for nothing back, and claims nothing more."""
    older = stage.start_connector()
    (account,) = paired(stage, older, 1)
    shard = start_newer(stage, older)
    shard.call(shard.newer, account)
    wait_until(lambda: shard.owner(account) == shard.newer.worker, "the newer one has it")

    def goes_on() -> bool:
        for instance in (shard.older, shard.newer):
            shard.call(instance, account)
        return shard.owner(account) == shard.newer.worker

    stays(goes_on, "it stays with the newer one", LEASE_TTL_S)
    lease = stage.lease(account)
    assert (lease.epoch, lease.hand_over_to) == (2, None), "the older one does not ask for it back"
    late = stage.create_account()
    shard.notify(older, late)
    wait_until(lambda: shard.owner(late) == shard.newer.worker, "what becomes free is the newer one's")


def test_the_older_instance_asks_in_vain_for_what_the_newer_one_owns(stage: Stage) -> None:
    """Before the newer one has asked for anything, a call may reach the older one: it must not send the newer one away."""
    older = stage.start_connector(MAX_ACCOUNTS="1")
    (full,) = paired(stage, older, 1)
    shard = start_newer(stage, older)
    account = stage.create_account()  # the older one has no room for it
    wait_until(lambda: shard.owner(account) == shard.newer.worker, "the newer one has claimed it")
    stage.want(None, full, False)
    wait_until(lambda: shard.owner(full) is None, "the older one has room now")
    shard.call(older, account)
    wait_until(lambda: stage.lease(account).hand_over_to, "the older one has asked")
    until = stage.lease(account).lease_until
    wait_until(lambda: stage.lease(account).lease_until > until, "the newer one goes on")
    assert (shard.owner(account), stage.lease(account).epoch) == (shard.newer.worker, 1)
    stage.want(None, full, True)
    shard.call(shard.newer, full)
    wait_until(lambda: shard.owner(full) == shard.newer.worker, "and takes over from the older one")


@pytest.mark.parametrize("is_asked_to_end", [True, False])
def test_what_nobody_claims_goes_back_to_the_instance_that_is_left(stage: Stage, is_asked_to_end: bool) -> None:
    """The newer one has died, or was taken back: the older one still runs, and the address leads to it again."""
    older = stage.start_connector()
    (account,) = paired(stage, older, 1)
    shard = start_newer(stage, older)
    shard.call(shard.newer, account)
    stage.await_status(account, "connected", assignedWorkerId=shard.newer.worker)
    if is_asked_to_end:
        stage.stop(shard.newer)
    else:
        stage.kill_and_expire(shard.newer, account)
    free_since = stage.lease(account).free_since()
    stage.await_status(account, "connected", assignedWorkerId=older.worker)
    assert datetime.now(UTC) - free_since > timedelta(seconds=LEASE_TTL_S), "others had the time to claim it"


def test_what_nobody_claims_goes_back_to_an_older_instance_that_still_owns_others(stage: Stage) -> None:
    """The newer instance was rolled back before it had all accounts."""
    older = stage.start_connector()
    accounts = paired(stage, older, 2)
    shard = start_newer(stage, older, room=1)
    shard.call(shard.newer, accounts[0])
    stage.await_status(accounts[0], "connected", assignedWorkerId=shard.newer.worker)
    stage.stop(shard.newer)
    stage.await_status(accounts[0], "connected", assignedWorkerId=older.worker)
    assert (shard.owner(accounts[1]), stage.lease(accounts[1]).epoch) == (older.worker, 1)


def test_an_account_that_was_asked_for_is_left_to_the_one_that_asked(stage: Stage) -> None:
    """Another shard looks for free accounts, too, and would often be faster."""
    older = stage.start_connector()
    accounts = paired(stage, older, 6)
    other = stage.start_connector()
    shard = start_newer(stage, older)
    shard.call(shard.newer, accounts[0])
    wait_until(lambda: all(shard.owner(account) == shard.newer.worker for account in accounts), "all are its own")
    assert '"lease_claimed"' not in other.child.log_text()
    assert [stage.lease(account).epoch for account in accounts] == [2] * len(accounts)


def test_an_account_that_was_asked_for_is_anybodys_when_nobody_fetches_it(stage: Stage) -> None:
    older = stage.start_connector()
    (account,) = paired(stage, older, 1)
    gone = HandOverRequest(worker=WorkerId("died-after-asking"), started_at=datetime.now(UTC) + timedelta(minutes=1))
    stage.db.collection(schema.LEASES).document(account).update({"handOverTo": gone.document()})
    wait_until(lambda: stage.lease(account).owner is None, "it is handed over")
    other = stage.start_connector()
    stage.await_status(account, "connected", assignedWorkerId=other.worker)


def test_a_request_of_an_older_instance_changes_nothing(stage: Stage) -> None:
    connector = stage.start_connector()
    (account,) = paired(stage, connector, 1)
    request = HandOverRequest(worker=WorkerId("older"), started_at=_LONG_AGO)
    stage.db.collection(schema.LEASES).document(account).update({"handOverTo": request.document()})
    until = stage.lease(account).lease_until
    wait_until(lambda: stage.lease(account).lease_until > until, "it is renewed")
    lease = stage.lease(account)
    assert (lease.owner, lease.epoch) == (connector.worker, 1)
    assert stage.is_connected(account)
    assert connector.metric("connector_leases_lost_total") == 0
    late = stage.create_account()
    wait_until(lambda: stage.lease(late).owner == connector.worker, "and it claims as before")


def test_a_request_that_was_not_heeded_ends_with_the_term(stage: Stage) -> None:
    """Otherwise other workers would leave the account to a worker that may have ended long ago."""
    connector = stage.start_connector()
    (account,) = paired(stage, connector, 1)
    request = HandOverRequest(worker=WorkerId("older"), started_at=_LONG_AGO)
    stage.db.collection(schema.LEASES).document(account).update({"handOverTo": request.document()})
    until = stage.lease(account).lease_until
    wait_until(lambda: stage.lease(account).lease_until > until, "it is read, and the lease renewed")
    stage.stop(connector)
    lease = stage.lease(account)
    assert (lease.owner, lease.hand_over_to) == (None, None)


def test_a_pause_ends_a_request(stage: Stage) -> None:
    """The account may be resumed long after the worker that asked has ended."""
    connector = stage.start_connector()
    (account,) = paired(stage, connector, 1)
    newer = HandOverRequest(worker=WorkerId("newer"), started_at=datetime.now(UTC) + timedelta(minutes=1))
    lease = stage.db.collection(schema.LEASES).document(account)
    lease.update({"handOverTo": newer.document(), "wanted": False})
    stage.await_status(account, "disconnected", disconnectReason="paused")
    wait_until(lambda: stage.lease(account).owner is None, "it is given back")
    assert stage.lease(account).hand_over_to is None


def test_an_owner_of_a_version_without_requests_is_not_asked(stage: Stage) -> None:
    """An older version would take the request for a super-admin's change, and reopen a session that has ended for good."""
    older = stage.start_connector()
    (account,) = paired(stage, older, 1)
    lease = stage.db.collection(schema.LEASES).document(account)
    older.freeze()
    lease.update({"handOverTo": DELETE_FIELD})  # as a claim of the version before has left it
    older.thaw()
    shard = start_newer(stage, older)
    shard.call(shard.newer, account)
    stays(lambda: "handOverTo" not in (lease.get().to_dict() or {}), "it is not asked", LEASE_TTL_S)
    assert shard.owner(account) == older.worker


def test_a_newer_instance_without_room_asks_for_nothing(stage: Stage) -> None:
    older = stage.start_connector()
    accounts = paired(stage, older, 3)
    shard = start_newer(stage, older, room=2)
    for account in accounts:
        shard.call(shard.newer, account)
    owned = [shard.newer.worker, shard.newer.worker, older.worker]
    wait_until(lambda: sorted(map(str, map(shard.owner, accounts))) == sorted(owned), "two go over")
    stays(lambda: sorted(map(str, map(shard.owner, accounts))) == sorted(owned), "one stays", LEASE_TTL_S)
    assert sorted(stage.lease(account).epoch or 0 for account in accounts) == [1, 2, 2], "it was never without an owner"
