"""What comes from the network stands in the ingest log, whole, once and in order, before it is acknowledged."""

import signal

from connector.reduction import DOCUMENT_LIMIT_BYTES
from local.network.faults import FaultKind
from local.processes import Child
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import LEASE_TTL_S, TIME_SCALE, Stage, new_phone
from tests.waiting import stays, wait_until

NETWORKS = tuple(NetworkKind)
RENEWAL_S = 8 * TIME_SCALE


def test_a_contacts_message_becomes_a_row_and_is_acknowledged(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    contact = stage.network.add_contact(theirs, "Ana")
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    row = stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert (row["chatId"], row["eventType"], row["processed"]) == (contact.lid, "message", False)
    assert (row["payload"]["text"], row["payload"]["pushName"]) == ("hello", "Ana")
    assert int(row["timestamp"].timestamp()) == row["payload"]["timestampS"]


def test_nothing_is_acknowledged_before_it_stands_in_the_log(stage: Stage, firestore_stops: Child) -> None:
    """Firestore does not answer, and the connector is killed: the event comes again."""
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")

    firestore_stops.process.send_signal(signal.SIGSTOP)
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    wait_until(lambda: connector.metric('connector_events_total{kind="message"}'), "the connector has the event")
    stays(lambda: stage.unacknowledged(account) == 1, "acknowledged although Firestore does not answer", 1.0)
    stage.kill(connector)
    firestore_stops.process.send_signal(signal.SIGCONT)

    assert stage.unacknowledged(account) == 1
    stage.start_connector()
    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)


def test_a_connector_that_cannot_renew_fences_itself_and_loses_nothing(stage: Stage, firestore_stops: Child) -> None:
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    chat = stage.network.add_contact(theirs, "Ana").lid

    firestore_stops.process.send_signal(signal.SIGSTOP)
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    wait_until(lambda: not stage.is_open(account), "the session is closed at the deadline")
    assert connector.send(account, chat, "3EB0" + "0" * 18) == {"outcome": "not_owner"}
    assert stage.unacknowledged(account) == 1
    assert connector.metric("connector_leases_lost_total") == 1
    firestore_stops.process.send_signal(signal.SIGCONT)

    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert stage.lease(account).epoch == 2


def test_a_short_outage_of_firestore_only_makes_acknowledgements_wait(stage: Stage, firestore_stops: Child) -> None:
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")

    firestore_stops.process.send_signal(signal.SIGSTOP)
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    wait_until(lambda: stage.unacknowledged(account) == 1, "the engine has the message")
    stays(lambda: stage.unacknowledged(account) == 1, "acknowledged although Firestore does not answer", RENEWAL_S / 2)
    firestore_stops.process.send_signal(signal.SIGCONT)

    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert stage.lease(account).epoch == 1


def test_a_message_that_comes_again_changes_nothing(stage: Stage) -> None:
    """Its sender repeats it, and WhatsApp hands over twice what it had handed over."""
    _check_repeats(stage, at_least=1)


def test_an_event_that_the_engine_hands_over_twice_changes_nothing(simulated_stage: Stage) -> None:
    """Over the wire, the engine knows a message that WhatsApp hands over twice."""
    _check_repeats(simulated_stage, at_least=3)


def _check_repeats(stage: Stage, *, at_least: int) -> None:
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    whatsapp_id = stage.network.write(theirs, ours, "first")
    first = stage.await_row(account, f"{whatsapp_id}-in")

    stage.network.write(theirs, ours, "first", whatsapp_id=whatsapp_id)
    stage.network.fault(FaultKind.REPEAT, account=ours, times=2)
    others = [stage.network.write(theirs, ours, text) for text in ("second", "third")]
    stage.await_row(account, f"{others[-1]}-in")
    stage.await_acknowledged(account)

    rows = stage.rows(account)
    assert rows[f"{whatsapp_id}-in"] == first
    assert list(rows) == [f"{key}-in" for key in (whatsapp_id, *others)]
    assert connector.metric('connector_wal_rows_total{result="stood_already"}') >= at_least


def test_the_receipts_of_a_contacts_three_devices_are_one_row(stage: Stage) -> None:
    """Each device sends its own, with its own time."""
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    for _ in range(3):
        stage.network.send_receipt(theirs, ours, ["3EB0AA"], "delivered")
    whatsapp_id = stage.network.write(theirs, ours, "I have it on all of them")
    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert set(stage.rows(account)) == {"3EB0AA-receipt-delivered", f"{whatsapp_id}-in"}
    assert connector.metric('connector_wal_rows_total{result="stood_already"}') == 2
    assert connector.metric('connector_wal_rows_total{result="created"}') == 2


def test_a_burst_over_two_accounts_keeps_each_accounts_order_and_shares_commits(shared: Shared) -> None:
    stage, connector, theirs = shared.stage, shared.connector, new_phone()
    phones = [new_phone(), new_phone()]
    accounts = {phone: stage.paired_account(connector, phone) for phone in phones}
    stage.network.add_contact(theirs, "Ana")
    commits = connector.metric("connector_wal_commit_seconds_count")
    connector.freeze()  # so that the burst comes at once
    written = {phone: [stage.network.write(theirs, phone, f"text {n}") for n in range(60)] for phone in phones}
    connector.thaw()

    for phone, account in accounts.items():
        stage.await_row(account, f"{written[phone][-1]}-in")
        stage.await_acknowledged(account)
        rows = stage.rows(account)
        assert list(rows) == [f"{whatsapp_id}-in" for whatsapp_id in written[phone]]
        received = [row["receivedAt"] for row in rows.values()]
        assert received == sorted(set(received))
        stamps = [row["timestamp"] for row in rows.values()]
        assert stamps == sorted(set(stamps))
    assert connector.metric("connector_wal_commit_seconds_count") - commits < 60


def test_a_message_that_no_document_can_hold_is_kept_without_its_text_and_blocks_nobody(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    huge, next_one = stage.network.write(theirs, ours, "x" * 3_000_000), stage.network.write(theirs, ours, "small")
    row = stage.await_row(account, f"{huge}-in")
    stage.await_row(account, f"{next_one}-in")
    stage.await_acknowledged(account)
    assert row["payload"]["text"] is None
    assert row["payload"]["leftOut"]["text"]["bytes"] == 3_000_000


def test_many_long_messages_at_once_are_committed_in_parts_that_firestore_takes(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    connector.freeze()  # so that they come at once
    written = [stage.network.write(theirs, ours, "x" * 450_000) for _ in range(7)]
    connector.thaw()
    stage.await_row(account, f"{written[-1]}-in")
    stage.await_acknowledged(account)
    assert list(stage.rows(account)) == [f"{whatsapp_id}-in" for whatsapp_id in written]
    assert "ResourceExhausted" not in connector.child.log_text()


def test_a_message_that_firestore_alone_finds_too_large_is_kept_without_its_wire_bytes(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    contact = stage.network.add_contact(theirs, "Ana")
    reduced = connector.child.log_text().count('"event": "row_reduced"')
    # Text and wire bytes together come just under a document's limit, which the names of the fields then pass.
    text = "x" * ((DOCUMENT_LIMIT_BYTES - 2 * len(contact.lid) - 150) // 2)
    whatsapp_id = stage.network.write(theirs, ours, text)
    row = stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert (row["payload"]["text"], row["payload"]["wire"]) == (text, None)
    assert connector.child.log_text().count('"event": "row_reduced"') == reduced + 1


def test_receipts_and_other_kinds_are_rows_too(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    unknown = stage.network.write(theirs, ours, unsupported="musicMessage")
    stage.network.send_receipt(theirs, ours, ["3EB0AA", "3EB0BB"], "delivered")
    typed = stage.network.type_on_phone(ours, theirs, "typed on the phone")
    stage.await_row(account, typed)
    rows = stage.rows(account)
    # The engine knows the kind; the simulated network passes its name on.
    assert rows[f"{unknown}-in"]["payload"]["kind"] in ("music", "unsupported")
    assert rows["3EB0BB-receipt-delivered"]["payload"]["target"] == "3EB0BB"
    assert rows[typed]["payload"]["fromMe"] is True


def test_the_heartbeat_says_how_far_the_log_has_come(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    stage.network.add_contact(theirs, "Ana")
    before = stage.account(account)["lastSeenAt"]
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    row = stage.await_row(account, f"{whatsapp_id}-in")

    def told() -> bool:
        return bool(stage.account(account)["lastSyncedKey"] == f"{whatsapp_id}-in")

    wait_until(told, "lastSyncedKey", limit_s=LEASE_TTL_S * 2)
    document = stage.account(account)
    assert document["lastSeenAt"] > before
    assert (document["lastEventAt"], document["lastSyncedAt"]) == (row["timestamp"], row["receivedAt"])
