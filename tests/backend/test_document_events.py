"""What a trigger asks the metadata server for, in real processes with the environment that Google gives them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.alert import Alert
from core.errors import ErrorCode
from core.ids import AccountId
from local.processes import Processes
from tests.backend import deployed_function
from tests.backend.deployed_function import DeployedFunction
from tests.backend.metadata_stand_in import MetadataServer, metadata_server
from tests.waiting import wait_until

_TRIGGERS = {
    "threadlineOnIngest": ("created", "whatsapp_ingest/row"),
    "threadlineOnOutbox": ("created", "whatsapp_outbox/request"),
    "threadlineOnAlert": ("written", "whatsapp_alerts/alert"),
    "threadlinePostAlert": ("written", "whatsapp_alerts/alert"),
}
_LIBRARYS = Path(__file__).with_name("library_trigger")
_EVENTS = 5


@pytest.fixture(scope="module")
def metadata() -> Iterator[MetadataServer]:
    with metadata_server() as made:
        yield made


@pytest.fixture(scope="module")
def functions(processes: Processes, metadata: MetadataServer) -> Iterator[dict[str, DeployedFunction]]:
    environment = {"GCE_METADATA_HOST": metadata.address, "GCE_METADATA_IP": metadata.address}
    started = {name: deployed_function.start(processes, name, environment=environment) for name in _TRIGGERS}
    started["onThing"] = deployed_function.start(processes, "onThing", source=_LIBRARYS, environment=environment)
    for each in started.values():
        deployed_function.await_up(processes, each)
    yield started
    for each in started.values():
        processes.stop(each.child)


def test_the_librarys_own_trigger_asks_the_metadata_server_twice_an_event(
    functions: dict[str, DeployedFunction], metadata: MetadataServer
) -> None:
    """Why backend/document_events.py exists: when this fails after an update of firebase-functions, that module may go."""
    metadata.asked.clear()
    for _ in range(_EVENTS):
        functions["onThing"].take("things/a", "written", after={"of": "a"})
    assert functions["onThing"].child.log_text().count("took an event") == _EVENTS
    assert len(metadata.asked) == 2 * _EVENTS


@pytest.mark.parametrize("name", _TRIGGERS)
def test_no_trigger_of_ours_asks_the_metadata_server_for_an_event(
    functions: dict[str, DeployedFunction], metadata: MetadataServer, name: str
) -> None:
    event_type, path = _TRIGGERS[name]
    metadata.asked.clear()
    for _ in range(_EVENTS):
        functions[name].take(path, event_type, after=None)
    assert metadata.asked == []


def test_an_alert_is_decoded_and_reported_without_the_metadata_server(
    functions: dict[str, DeployedFunction], metadata: MetadataServer
) -> None:
    on_alert = functions["threadlineOnAlert"]
    account = AccountId("berlin")
    alert = Alert(code=ErrorCode.BANNED, cause=account, account_id=account, message="banned", about="x/y")
    metadata.asked.clear()
    for _ in range(_EVENTS):
        on_alert.take(f"whatsapp_alerts/{alert.alert_id}", "written", after=alert.document(datetime.now(UTC)))
    wait_until(lambda: on_alert.child.log_text().count(alert.alert_id) == _EVENTS, "each event was reported")
    assert metadata.asked == []
