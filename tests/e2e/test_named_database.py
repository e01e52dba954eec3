"""Threadline in a Firestore database of its own, in a project whose (default) database is an application's."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore import Client

from core import schema
from core.ids import AccountId
from local.emulator import RULES
from local.faults.cast import Account, Cast, Chat, Request
from local.faults.stage import Stage, outbox_document
from local.ports import HOST
from local.processes import Processes
from local.production import world as production
from local.production.world import World
from local.project import PROJECT_ID, ROOT
from tests.waiting import wait_until

DATABASE = "threadline"
ACCOUNT = Account(account_id=AccountId("named"), phone="+40709000002")
CHAT = Chat(index=1, account=ACCOUNT, contact="+40809000002", reads=False, requests=3, inbound=0)
QUESTION = "Do you have a table?"
CAST = Cast(accounts=[ACCOUNT], chats=[CHAT])
EMPLOYEE = {"role": "employee"}
NOBODY: dict[str, str] = {}


@pytest.fixture(scope="module")
def world(own_processes: Processes) -> World:
    return production.start(own_processes, time_scale=0.1, gates=False, database=DATABASE, rules=RULES)


@pytest.fixture(scope="module")
def ours(world: World) -> Iterator[Client]:
    with closing(world.client()) as client:
        Stage(db=client, network=world.network).prepare(CAST)
        world.network.write(CHAT.contact, ACCOUNT.phone, QUESTION)
        wait_until(lambda: messages(client) == [QUESTION], "the contact's message")
        yield client


@pytest.fixture(scope="module")
def applications(world: World) -> Iterator[Client]:
    with closing(production.emulator_client(world.firestore)) as client:
        yield client


def write(world: World, request: Request, role: dict[str, str]) -> str:
    """By the person whom the request names, with the Firebase SDK."""
    fields = outbox_document(request)
    del fields["createdAt"]  # the client's own: the server's time
    settings = {
        "project": PROJECT_ID,
        "host": HOST,
        "port": world.ports.firestore,
        "database": DATABASE,
        "user": {"sub": request.uid, "email": f"{request.uid}@example.com", **role},
        "id": request.request_id,
        "request": fields,
    }
    program = ROOT / "tests/e2e/named_database_client.mjs"
    run = subprocess.run(
        ["node", program, json.dumps(settings)], capture_output=True, text=True, check=True, timeout=120
    )
    return run.stdout.strip()


def document(db: Client, collection: str, name: str) -> dict[str, Any]:
    return db.collection(collection).document(name).get().to_dict() or {}


def messages(db: Client) -> list[str]:
    return [str((message.to_dict() or {})["text"]) for message in db.collection(schema.MESSAGES).stream()]


def accepted(world: World) -> int:
    return world.cloud.counters().get("invoked_threadlineOnOutbox", 0)


def test_a_message_comes_in_and_an_employees_answer_goes_out(world: World, ours: Client) -> None:
    first, _, _ = CAST.all_requests()
    assert QUESTION in messages(ours)
    assert write(world, first, EMPLOYEE) == "written"
    wait_until(lambda: document(ours, schema.OUTBOX, first.request_id).get("status") == "sent", "the answer is sent")
    assert first.text in [message.text for message in world.network.inbox(CHAT.contact)]


def test_the_rules_hold_in_the_named_database(world: World, ours: Client) -> None:
    _, second, _ = CAST.all_requests()
    assert write(world, second, NOBODY) == "permission-denied"
    assert document(ours, schema.OUTBOX, second.request_id) == {}


def test_a_document_of_the_same_path_in_the_default_database_triggers_nothing_and_is_not_touched(
    world: World, ours: Client, applications: Client
) -> None:
    _, _, third = CAST.all_requests()
    row = next(iter(ours.collection(schema.INGEST).stream()))
    theirs: dict[str, dict[str, object]] = {
        f"{schema.OUTBOX}/{third.request_id}": {"status": "queued", "createdAt": datetime.now(UTC)},
        f"{schema.INGEST}/{row.id}": {"processed": False},
        f"{schema.ACCOUNTS}/{ACCOUNT.account_id}": {"name": "theirs"},
    }
    for path, fields in theirs.items():
        applications.document(path).create(fields)
    written = {path: applications.document(path).get().update_time for path in theirs}
    assert write(world, third, EMPLOYEE) == "written"
    wait_until(lambda: document(ours, schema.OUTBOX, third.request_id).get("status") == "sent", "the answer is sent")
    ours_alone = len(list(ours.collection(schema.OUTBOX).stream()))
    wait_until(lambda: accepted(world) == ours_alone, "one event for each request in Threadline's database")
    assert {path: applications.document(path).get().update_time for path in theirs} == written
    found = {document.reference.path for each in applications.collections() for document in each.stream()}
    assert found == set(theirs), "nothing of Threadline's is there"
