"""One owner a session: leases are claimed, renewed, handed over and lost, and a former owner's writes are refused."""

import signal
from datetime import UTC, datetime, timedelta

from core import schema
from core.account import NEVER, claim_fields, new_lease_document
from core.ids import AccountId, WorkerId
from local.processes import Child
from tests.connector.stage import LEASE_TTL_S, Stage, new_phone
from tests.waiting import stays, wait_until


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


def test_a_free_account_is_found_and_kept(stage: Stage) -> None:
    account = stage.create_account()
    connector = stage.start_connector()
    wait_until(lambda: stage.lease(account).owner == connector.worker, "a claim")
    lease = stage.lease(account)
    assert (lease.epoch, lease.endpoint) == (1, connector.url)
    wait_until(lambda: stage.lease(account).lease_until > lease.lease_until, "a renewal")
    stays(lambda: stage.lease(account).is_held_by(lease.owner or WorkerId(""), 1), "kept", LEASE_TTL_S * 1.5)
    assert stage.lease(account).is_held(datetime.now(UTC))


def test_two_connectors_claim_an_account_once(stage: Stage, firestore_stops: Child) -> None:
    """Firestore answers both at the same moment: both see the lease free, and both commit their claim."""
    connectors = [stage.start_connector(), stage.start_connector()]
    for connector in connectors:
        connector.freeze()
    accounts = [stage.create_account() for _ in range(6)]
    firestore_stops.process.send_signal(signal.SIGSTOP)
    for connector in connectors:
        connector.thaw()
        for account in accounts:
            connector.poke(account)
    firestore_stops.process.send_signal(signal.SIGCONT)
    wait_until(lambda: all(stage.lease(account).owner for account in accounts), "all claimed")
    wait_until(lambda: sum(c.metric("connector_sessions") for c in connectors) >= len(accounts), "all are run")
    claims = sum(connector.child.log_text().count('"lease_claimed"') for connector in connectors)
    assert claims == len(accounts)
    assert {stage.lease(account).epoch for account in accounts} == {1}


def test_an_account_that_is_not_wanted_is_left_alone(stage: Stage) -> None:
    unwanted, wanted = stage.create_account(wanted=False), stage.create_account()
    connector = stage.start_connector()
    connector.poke(unwanted)
    wait_until(lambda: stage.lease(wanted).owner, "the wanted one is claimed")
    assert stage.lease(unwanted).owner is None


def test_a_paused_account_is_closed_and_given_back_and_resumes_its_session(stage: Stage) -> None:
    ours, theirs, connector = new_phone(), new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    stage.want(connector, account, False)
    paused = stage.await_status(account, "disconnected", assignedWorkerId=None)
    assert paused["disconnectReason"] == "paused"
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    assert not stage.network.accounts()[account].is_open

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
    assert stage.stop(first) == 0
    for given_back in (account, unpaired):
        lease = stage.lease(given_back)
        assert (lease.owner, lease.endpoint, lease.epoch) == (None, None, 1)
        assert stage.account(given_back)["assignedWorkerId"] is None
    left = stage.account(account)
    assert (left["status"], left["disconnectReason"]) == ("reconnecting", "handed_over")
    assert stage.account(unpaired)["status"] == "needs_qr"
    assert stage.private_state(unpaired)["qrCodeDataUrl"] is None

    second = stage.start_connector()
    stage.await_status(account, "connected", assignedWorkerId=second.worker)


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
    assert not stage.network.accounts()[account].is_open


def test_a_callables_write_in_between_disturbs_no_owner(stage: Stage) -> None:
    ours, connector = new_phone(), stage.start_connector()
    account = stage.paired_account(connector, ours)
    stage.db.collection(schema.ACCOUNTS).document(account).update({"name": "New name"})
    stage.network.disconnect(ours)
    assert stage.await_status(account, "reconnecting")["name"] == "New name"
    assert connector.metric("connector_leases_lost_total") == 0


def test_leases_that_cannot_be_claimed_disturb_no_other(stage: Stage) -> None:
    """They stand at the front of the query for ever, more of them than it answers at once."""
    odd = [stage.create_account() for _ in range(3)]
    for account, epoch in zip(odd, (2**63 - 1, -1, "7"), strict=True):
        stage.db.collection(schema.LEASES).document(account).update({"epoch": epoch})
    batch = stage.db.batch()
    for number in range(60):
        document = stage.db.collection(schema.LEASES).document(f"lost-{number}")
        batch.create(document, new_lease_document(datetime.now(UTC)))
    batch.commit()
    account = stage.create_account()
    later = NEVER + timedelta(days=1)
    stage.db.collection(schema.LEASES).document(account).update({"leaseUntil": later})

    connector = stage.start_connector()
    wait_until(lambda: stage.lease(account).owner == connector.worker, "the one behind them is claimed")
    wait_until(lambda: connector.child.log_text().count('"lease_not_claimable"') == 63, "each is logged")
    assert [stage.lease(account).owner for account in odd] == [None] * 3


def test_an_account_that_is_claimed_while_stopping_is_given_back(stage: Stage, firestore_stops: Child) -> None:
    connector = stage.start_connector()
    connector.freeze()
    account = stage.create_account()
    firestore_stops.process.send_signal(signal.SIGSTOP)
    connector.thaw()
    connector.poke(account)  # the claim waits for Firestore
    connector.child.process.send_signal(signal.SIGTERM)
    wait_until(lambda: '"event": "stopping"' in connector.child.log_text(), "it is asked to stop")
    firestore_stops.process.send_signal(signal.SIGCONT)
    assert connector.child.process.wait(20) == 0
    lease = stage.lease(account)
    assert (lease.owner, lease.epoch) == (None, 1)


def test_a_lease_without_an_account_is_left_alone(stage: Stage) -> None:
    lost = stage.create_account()
    stage.db.collection(schema.ACCOUNTS).document(lost).delete()
    connector, account = stage.start_connector(), stage.create_account()
    wait_until(lambda: stage.lease(account).owner == connector.worker, "the other account is claimed")
    wait_until(lambda: '"lease_not_claimable"' in connector.child.log_text(), "it is logged")
    assert stage.lease(lost).owner is None


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
