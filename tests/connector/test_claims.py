"""A free lease is claimed once, by one connector; what cannot be claimed disturbs nobody. No session is connected: the network does not matter."""

import signal
from datetime import UTC, datetime, timedelta

from core import schema
from core.account import NEVER, new_lease_document
from core.ids import WorkerId
from local.processes import Child
from tests.connector.stage import LEASE_TTL_S, Stage
from tests.waiting import stays, wait_until


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


def test_a_claim_that_still_reads_when_the_connector_stops_is_not_made(stage: Stage, firestore_stops: Child) -> None:
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
    assert (lease.owner, lease.epoch) == (None, 0)


def test_a_lease_without_an_account_is_left_alone(stage: Stage) -> None:
    lost = stage.create_account()
    stage.db.collection(schema.ACCOUNTS).document(lost).delete()
    connector, account = stage.start_connector(), stage.create_account()
    wait_until(lambda: stage.lease(account).owner == connector.worker, "the other account is claimed")
    wait_until(lambda: '"lease_not_claimable"' in connector.child.log_text(), "it is logged")
    assert stage.lease(lost).owner is None
