"""The doctor where the functions do not run, or their version does not support the doctor."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.cloud.firestore import Client, Query
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.services import Services
from backend.stores import stored_as
from core import diagnosis, schema
from local.project import PROJECT_ID
from tests.connector_admin.running import CommandLine
from tests.doctor.deployed import examined

ROWS = schema.INGEST


@contextmanager
def triggers(db: Client, functions: Services) -> Iterator[None]:
    """threadlineOnIngest for the doctor's rows, in this process."""

    def take(_all: object, changes: list[object], _time: object) -> None:
        for change in changes:
            if change.type.name == "ADDED":  # type: ignore[attr-defined] # the library has no type for it
                stored = stored_as(change.document, dict)  # type: ignore[attr-defined] # as above
                work = (stored.id, stored.value, stored.update_time)
                threading.Thread(target=functions.ingest.take, args=work).start()

    watch = _of_the_doctor(db, ROWS).on_snapshot(take)
    try:
        yield
    finally:
        watch.unsubscribe()


def test_without_functions_the_trigger_is_wrong_and_what_needs_it_is_not_checked(firestore_emulator: str) -> None:
    admin = CommandLine(project=f"demo-doctor-{secrets.token_hex(4)}")
    found = examined(admin, "--wait", "1")
    assert found.status == 1
    assert set(found.wrong()) == {"ingest trigger"}
    assert found.the("functions call a connector")["result"] == "not checked"
    assert found.the("clock of this machine")["result"] == "ok"


def test_functions_that_do_not_know_a_diagnosis_are_older_and_their_alert_is_resolved(
    db: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "EVENT_TYPE", "nothing")  # as before there was one
    with triggers(db, services):
        found = examined(CommandLine(project=PROJECT_ID))
    assert found.status == 1
    assert set(found.wrong()) == {"ingest trigger"}
    assert "older than this command line" in found.the("ingest trigger")["found"]
    alerts = [alert.to_dict() or {} for alert in _of_the_doctor(db, schema.ALERTS).stream()]
    assert [alert["resolvedAt"] is not None for alert in alerts] == [True]
    assert [row.id for row in _of_the_doctor(db, ROWS).stream()] == []


def _of_the_doctor(db: Client, collection: str) -> Query:
    """Other tests have documents of their own in this Firestore."""
    return db.collection(collection).where(filter=FieldFilter("accountId", "==", diagnosis.ACCOUNT))
