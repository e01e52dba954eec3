"""The doctor's canaries at the functions: each is answered, and nobody but the doctor sees anything of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from google.cloud.firestore import SERVER_TIMESTAMP, Client
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.accept import Acceptance
from backend.refusal import Refused
from backend.send import JobEnd
from backend.send_queue import Job
from backend.stores import stored_as
from core import contract, diagnosis, release, schema
from core.ids import RequestId
from tests.backend.world import NOBODY_LISTENS, World
from tests.waiting import wait_until

Document = dict[str, Any]


@pytest.fixture
def row(world: World) -> Iterator[str]:
    name = diagnosis.row_id(uuid4().hex)
    document = diagnosis.row_document(name.rpartition("-")[2], SERVER_TIMESTAMP)
    world.db.collection(schema.INGEST).document(name).create(document)
    yield name
    world.db.collection(schema.INGEST).document(name).delete()


@pytest.fixture
def request_id(world: World) -> Iterator[RequestId]:
    name = uuid4().hex
    request = diagnosis.outbox_id(name)
    world.db.collection(schema.OUTBOX).document(request).create(diagnosis.request_document(name, SERVER_TIMESTAMP))
    yield request
    world.db.collection(schema.OUTBOX).document(request).delete()


def of_the_doctor(db: Client, *collections: str) -> list[str]:
    """The documents of these collections that name the doctor's account."""
    return [
        snapshot.reference.path
        for collection in collections
        for snapshot in db.collection(collection)
        .where(filter=FieldFilter("accountId", "==", diagnosis.ACCOUNT))
        .stream()
    ]


def nothing_is_seen(db: Client) -> bool:
    return of_the_doctor(db, schema.ALERTS, schema.THREADS, schema.MESSAGES, schema.ACCOUNTS) == []


def age(world: World, collection: str, name: str, field: str, by: timedelta) -> None:
    world.db.collection(collection).document(name).update({field: datetime.now(UTC) - by})


def test_a_canary_is_answered_with_versions_settings_and_how_each_connector_was_reached(world: World, row: str) -> None:
    world.trigger_ingest(row)
    document = world.row(row)
    report = document["payload"]["report"]
    assert document["processed"] is True
    assert document["expireAt"] > datetime.now(UTC)
    assert (report["version"], report["build"]) == (release.VERSION, release.build())
    assert report["contract"] == contract.VERSION
    assert report["connectorEndpoints"] == sorted([world.endpoint, NOBODY_LISTENS])
    outcomes = {each["endpoint"]: each["outcome"] for each in report["connectors"]}
    assert outcomes[NOBODY_LISTENS] == "unreachable"
    assert outcomes.keys() == {world.endpoint, NOBODY_LISTENS}
    assert nothing_is_seen(world.db)


def test_the_functions_clock_is_told_against_firestores(world: World, row: str) -> None:
    """Both run by this machine's clock."""
    world.trigger_ingest(row)
    report = world.row(row)["payload"]["report"]
    assert abs(report["clockOffsetS"]) <= report["clockUncertaintyS"] + 0.1


def test_an_event_that_comes_twice_or_for_a_deleted_row_changes_nothing(world: World, row: str) -> None:
    reference = world.db.collection(schema.INGEST).document(row)
    stored = stored_as(reference.get(), dict)
    for _ in range(2):
        world.services.ingest.take(stored.id, stored.value, stored.update_time)
    assert world.row(row)["processAttempts"] == 1
    reference.delete()
    world.services.ingest.take(stored.id, stored.value, stored.update_time)
    assert not reference.get().exists


def test_a_canary_whose_trigger_is_lost_is_closed_by_the_sweeper_without_a_report_or_an_alert(
    world: World, row: str
) -> None:
    age(world, schema.INGEST, row, "receivedAt", timedelta(days=2))
    swept = world.services.sweep.run()
    assert swept.refused == 0
    document = world.row(row)
    assert document["processed"] is True
    assert document["payload"] == {}
    assert nothing_is_seen(world.db)


def test_a_diagnosis_of_another_account_is_no_canary(world: World) -> None:
    chat = world.chat()
    event = world._row(chat, "diagnosis", "doctor-1", {}, None)
    world.trigger_ingest(event)
    assert world.row(event)["lastProcessError"].startswith("event_type_unknown: ")


def test_a_request_goes_over_the_queue_to_a_send_job_which_ends_it_as_diagnosed(
    world: World, request_id: RequestId
) -> None:
    assert world.trigger_outbox(request_id) is Acceptance.ACCEPTED
    wait_until(lambda: world.request(request_id)["status"] == "failed", "the send job has ended the request")
    request = world.request(request_id)
    assert request["lastError"].startswith("diagnosed: ")
    assert request["waMessageKey"].startswith("3EB0")
    assert "expireAt" in request
    assert nothing_is_seen(world.db)


def test_a_request_whose_trigger_is_lost_is_ended_by_the_sweepers_job(world: World, request_id: RequestId) -> None:
    age(world, schema.OUTBOX, request_id, "createdAt", timedelta(days=2))
    world.services.sweep.run()
    wait_until(lambda: world.request(request_id)["status"] == "failed", "the send job has ended the request")
    assert nothing_is_seen(world.db)


def test_a_second_job_finds_nothing(world: World, request_id: RequestId) -> None:
    for _ in range(2):
        assert world.services.send.run(Job(thread_id=diagnosis.THREAD), is_retry=False) is JobEnd.QUEUE_EMPTY
    assert world.request(request_id)["status"] == "failed"


def test_nobody_creates_an_account_of_the_doctors_id(world: World) -> None:
    with pytest.raises(Refused, match="doctor"):
        world.services.accounts.create("Shop", diagnosis.ACCOUNT)
    assert nothing_is_seen(world.db)
