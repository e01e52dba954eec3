"""One owner a session: leases are claimed, renewed, handed over and lost, and a former owner's writes are refused."""

import signal
from datetime import UTC, datetime, timedelta

from core import schema
from core.account import claim_fields
from core.ids import AccountId, WorkerId
from local.processes import Child
from local.whatsapp import NetworkKind
from tests.connector.stage import LEASE_TTL_S, Stage, new_phone
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)
_LONG_BEFORE = timedelta(seconds=LEASE_TTL_S / 3)
"""A lease is renewed each third of its time, so two thirds are always left of it: one is for a busy machine."""


def claim_as_another(stage: Stage, account: AccountId) -> None:
    """What another worker's claim writes."""
    other, now = WorkerId("another-worker"), datetime.now(UTC)
    batch = stage.db.batch()
    lease = stage.lease(account)
    batch.update(
        stage.db.collection(schema.LEASES).document(account),
        claim_fields(lease, other, "http://127.0.0.1:1", now, 3600),
    )
    batch.update(stage.db.collection(schema.ACCOUNTS).document(account), {"assignedWorkerId": other, "lastSeenAt": now})
    batch.commit()


def test_a_paused_account_is_closed_and_given_back_and_resumes_its_session(stage: Stage) -> None:
    ours, theirs, connector = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    stage.want(connector, account, False)
    paused = stage.await_status(account, "disconnected", assignedWorkerId=None)
    assert paused["disconnectReason"] == "paused"
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    assert not stage.is_open(account)

    whatsapp_id = stage.network.write(theirs, ours, "while you were away")
    stage.want(connector, account, True)
    stage.await_status(account, "connected", assignedWorkerId=connector.worker)
    stage.await_row(account, f"{whatsapp_id}-in")
    assert stage.lease(account).epoch == 2


def test_a_pause_is_noticed_without_a_poke(stage: Stage) -> None:
    """The renewal's precondition fails, and the lease is read."""
    connector = stage.start_connector()
    account = stage.paired_account(connector, new_phone())
    stage.want(None, account, False)
    stage.await_status(account, "disconnected")
    assert connector.metric("connector_leases_lost_total") == 0


def test_sigterm_hands_everything_over_at_once(stage: Stage) -> None:
    ours, first = new_phone(), stage.start_connector()
    account, unpaired = stage.paired_account(first, ours), stage.create_account()
    stage.shown_qr(first, unpaired)
    until = {each: stage.lease(each).lease_until for each in (account, unpaired)}
    assert stage.stop(first) == 0
    for given_back in (account, unpaired):
        lease = stage.lease(given_back)
        assert lease.updated_at < until[given_back] - _LONG_BEFORE
        assert (lease.owner, lease.endpoint, lease.epoch) == (None, None, 1)
        assert stage.account(given_back)["assignedWorkerId"] is None
    left = stage.account(account)
    assert (left["status"], left["disconnectReason"]) == ("reconnecting", "handed_over")
    assert stage.account(unpaired)["status"] == "needs_qr"
    assert stage.private_state(unpaired)["qrCodeDataUrl"] is None

    second = stage.start_connector()
    stage.await_status(account, "connected", assignedWorkerId=second.worker)


def test_a_connector_of_which_a_part_fails_hands_everything_over_before_it_ends(simulated_stage: Stage) -> None:
    """Its next start, and every other connector, finds the accounts free."""
    stage = simulated_stage
    connector = stage.start_failing_connector()
    account = stage.paired_account(connector, new_phone())
    connector.child.process.send_signal(signal.SIGUSR1)
    assert connector.child.process.wait(20) == 1
    lease = stage.lease(account)
    assert (lease.owner, lease.epoch) == (None, 1)
    left = stage.account(account)
    assert (left["status"], left["disconnectReason"]) == ("reconnecting", "handed_over")
    assert '"event": "crashed"' in connector.child.log_text(), "and says why"


def test_events_under_way_are_drained_before_a_hand_over(stage: Stage, firestore_stops: Child) -> None:
    """What waits for its commit when SIGTERM comes is committed, and acknowledged before the session is closed."""
    ours, theirs, connector = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    firestore_stops.process.send_signal(signal.SIGSTOP)
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    wait_until(lambda: connector.metric('connector_events_total{kind="message"}'), "the connector has the event")
    connector.child.process.send_signal(signal.SIGTERM)
    wait_until(lambda: '"event": "stopping"' in connector.child.log_text(), "it is asked to stop")
    firestore_stops.process.send_signal(signal.SIGCONT)
    assert connector.child.process.wait(20) == 0
    assert list(stage.rows(account)) == [f"{whatsapp_id}-in"]
    assert stage.unacknowledged(account) == 0


def test_after_a_kill_the_account_is_taken_over_when_the_lease_runs_out(stage: Stage) -> None:
    ours, theirs, first = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(first, ours)
    stage.network.add_contact(theirs, "Ana")
    stage.kill(first)
    until = stage.lease(account).lease_until
    second = stage.start_connector()
    stage.await_status(account, "connected", assignedWorkerId=second.worker)
    assert datetime.now(UTC) > until
    assert stage.lease(account).epoch == 2
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    assert stage.await_row(account, f"{whatsapp_id}-in")["receivedAt"] > until


def test_an_owner_that_slept_too_long_does_nothing_more(stage: Stage) -> None:
    """Frozen past its deadline, it wakes up with another owner there: no ack, no write, no alert."""
    ours, theirs, first = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(first, ours)
    stage.network.add_contact(theirs, "Ana")
    first.freeze()
    second = stage.start_connector()
    stage.await_status(account, "connected", assignedWorkerId=second.worker)
    first.thaw()
    wait_until(lambda: first.metric("connector_leases_lost_total") == 1, "the first owner knows")
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    stage.await_row(account, f"{whatsapp_id}-in")
    stays(
        lambda: (
            (stage.account(account)["status"], stage.account(account)["assignedWorkerId"])
            == ("connected", second.worker)
        ),
        "the former owner wrote",
        1.0,
    )
    assert stage.alerts(account) == []
    assert stage.lease(account).epoch == 2


def test_a_stale_owners_write_is_refused_though_it_does_not_know_yet(stage: Stage) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    claim_as_another(stage, account)
    claimed = stage.account(account)
    stage.network.disconnect(ours)  # makes it write the status
    wait_until(lambda: connector.metric("connector_leases_lost_total") == 1, "it learns that it is stale")
    assert stage.account(account) == claimed
    assert stage.lease(account).owner == "another-worker"
    assert not stage.is_open(account)


def test_a_callables_write_in_between_disturbs_no_owner(stage: Stage) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.db.collection(schema.ACCOUNTS).document(account).update({"name": "New name"})
    stage.network.disconnect(ours)
    assert stage.await_status(account, "reconnecting")["name"] == "New name"
    assert connector.metric("connector_leases_lost_total") == 0


def test_received_at_goes_on_after_the_former_owners_lease_end(stage: Stage) -> None:
    """A former owner whose clock ran ahead wrote up to its own leaseUntil."""
    ours, theirs, connector = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    stage.want(connector, account, False)
    wait_until(lambda: stage.lease(account).owner is None, "paused")
    ahead = datetime.now(UTC) + timedelta(hours=1)
    stage.db.collection(schema.LEASES).document(account).update({"updatedAt": ahead})
    stage.want(connector, account, True)
    stage.await_status(account, "connected")
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    assert stage.await_row(account, f"{whatsapp_id}-in")["receivedAt"] > ahead


def test_what_is_given_back_is_taken_by_another_long_before_the_lease_would_have_run_out(stage: Stage) -> None:
    first = stage.start_connector()
    account = stage.paired_account(first, new_phone())
    second = stage.start_connector()
    until = stage.lease(account).lease_until
    assert stage.stop(first) == 0
    stage.await_connected(account, assignedWorkerId=second.worker)
    lease = stage.lease(account)
    assert lease.epoch == 2
    assert lease.recent_claims[-1] < until - _LONG_BEFORE
