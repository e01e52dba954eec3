"""What a live connector serves at /metrics after traffic: names and labels that are known, that move, and name nobody."""

import json
import re
import signal
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from connector.contract.engine_pb2 import Event
from core.account import Status
from core.delivery import Delivery
from core.outbox import Outcome
from local.processes import Child
from local.project import ROOT
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Connector, new_phone
from tests.connector.test_sending import new_key
from tests.waiting import wait_until

NETWORKS = (NetworkKind.REAL,)
LABELS = {
    "kind": {field.name for field in Event.DESCRIPTOR.oneofs_by_name["kind"].fields} | {"unknown"},
    "status": {str(each) for each in Status},
    "outcome": {str(each) for each in Outcome},
    "result": {"ok", "failed", "changed", "created", "stood_already", "other_content", "accepted"},
}
"""Every value that a label may have: none is an account's, a chat's or a person's."""
_NAME = re.compile(r"\bconnector_\w+")


def samples(connector: Connector) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(connector.get("/metrics").text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def value(connector: Connector, name: str, **labels: str) -> float:
    return sum(
        number for found, given, number in samples(connector) if found == name and labels.items() <= given.items()
    )


def test_after_traffic_every_metric_of_the_runbook_has_moved_and_no_label_names_anybody(shared: Shared) -> None:
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    chat = stage.network.add_contact(theirs, "Ana", reads=True).lid
    account = stage.paired_account(connector, ours)
    whatsapp_id = stage.network.write(theirs, ours, "what does it cost?")
    stage.await_row(account, f"{whatsapp_id}-in")
    key = new_key()
    assert connector.send(account, chat, key, "ten") == {"outcome": "sent"}
    stage.await_row(account, f"{key}-receipt-{Delivery.READ}")
    stage.await_acknowledged(account)
    wait_until(lambda: value(connector, "connector_lease_renewals_total", result="ok"), "a renewal")
    wait_until(lambda: value(connector, "connector_flushes_total"), "a flush")
    moved = {
        "connector_sessions": {},
        "connector_sessions_connected": {},
        "connector_sessions_by_status": {"status": "connected"},
        "connector_events_total": {"kind": "message"},
        "connector_event_seconds_count": {},
        "connector_events_acknowledged_total": {},
        "connector_wal_commit_seconds_count": {},
        "connector_sends_total": {"outcome": "sent"},
        "connector_send_seconds_count": {"outcome": "sent"},
        "connector_lease_renewal_seconds_count": {},
    }
    assert [name for name, labels in moved.items() if not value(connector, name, **labels)] == []
    wait_until(lambda: value(connector, "connector_events_unacknowledged") == 0, "nothing is left unacknowledged")
    assert value(connector, "connector_events_unacknowledged_oldest_seconds") == 0

    for name, labels, _ in samples(connector):
        for label, said in labels.items():
            assert label == "le" or said in LABELS[label], (name, label)
    text = connector.get("/metrics").text
    assert not [secret for secret in (account, ours[1:], theirs[1:], key, whatsapp_id, "Ana") if secret in text]

    stage.want(connector, account, False)
    wait_until(lambda: stage.lease(account).owner is None, "the lease is given back")
    wait_until(lambda: value(connector, "connector_sessions_by_status") == 0, "no session is counted any more")


def test_the_age_of_what_waits_is_told_while_the_ingest_log_cannot_be_written(
    shared: Shared, firestore_stops: Child
) -> None:
    """The emulator is frozen, within a term."""
    stage, connector, ours, theirs = shared.stage, shared.connector, new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = stage.paired_account(connector, ours)
    before = value(connector, "connector_event_seconds_sum")
    firestore_stops.process.send_signal(signal.SIGSTOP)
    whatsapp_id = stage.network.write(theirs, ours, "hello?")
    wait_until(lambda: value(connector, "connector_events_unacknowledged_oldest_seconds") > 0.5, "it waits")
    assert value(connector, "connector_events_unacknowledged") == 1
    firestore_stops.process.send_signal(signal.SIGCONT)
    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    wait_until(lambda: value(connector, "connector_events_unacknowledged") == 0, "it waits no more")
    assert value(connector, "connector_event_seconds_sum") - before > 0.5


def test_the_dashboard_asks_for_what_a_connector_serves(shared: Shared) -> None:
    dashboard = json.loads((ROOT / "monitoring/dashboard.json").read_text())
    served = {
        line.split()[2] for line in shared.connector.get("/metrics").text.splitlines() if line.startswith("# TYPE")
    }
    suffixes = re.compile(r"_(bucket|count|sum)$")
    asked = {suffixes.sub("", found) for found in _NAME.findall(json.dumps(dashboard))}
    assert len(asked) > 15
    assert asked <= served | {f"{each}_total" for each in served}
    filters = re.findall(r"user/(\w+)", json.dumps(dashboard))
    assert filters == ["threadline_alerts"]
