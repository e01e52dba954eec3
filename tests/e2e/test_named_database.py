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
CHAT = Chat(index=1, account=ACCOUNT, contact="+40809000002", reads=False, requests=2, inbound=0)
CAST = Cast(accounts=[ACCOUNT], chats=[CHAT])
OUR_COLLECTIONS = {schema.ACCOUNTS, schema.LEASES, schema.THREADS, schema.MESSAGES, schema.INGEST, schema.OUTBOX}
EMPLOYEE = {"role": "employee"}
NOBODY: dict[str, str] = {}


@pytest.fixture(scope="module")
def world(processes: Processes) -> Iterator[World]:
    """In the session's processes: what this module starts ends with it."""
    before = list(processes.children)
    yield production.start(processes, time_scale=0.1, gates=False, database=DATABASE, rules=RULES)
    for child in [child for child in processes.children if child not in before]:
        processes.stop(child)


@pytest.fixture(scope="module")
def ours(world: World) -> Iterator[Client]:
    with closing(world.client()) as client:
        Stage(db=client, network=world.network).prepare(CAST)
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


def invocations(world: World) -> int:
    return sum(count for name, count in world.cloud.counters().items() if name.startswith("invoked_threadlineOn"))


def test_a_message_comes_in_and_an_employees_answer_goes_out(world: World, ours: Client) -> None:
    first, _ = CAST.all_requests()
    world.network.write(CHAT.contact, ACCOUNT.phone, "Do you have a table?")
    wait_until(lambda: messages(ours) == ["Do you have a table?"], "the contact's message")
    assert write(world, first, EMPLOYEE) == "written"
    wait_until(lambda: document(ours, schema.OUTBOX, first.request_id).get("status") == "sent", "the answer is sent")
    assert [message.text for message in world.network.inbox(CHAT.contact)] == [first.text]


def test_the_rules_hold_in_the_named_database(world: World, ours: Client) -> None:
    _, second = CAST.all_requests()
    assert write(world, second, NOBODY) == "permission-denied"
    assert document(ours, schema.OUTBOX, second.request_id) == {}


def test_a_document_of_the_same_path_in_the_default_database_triggers_nothing_and_is_not_touched(
    world: World, ours: Client, applications: Client
) -> None:
    _, second = CAST.all_requests()
    row = next(iter(ours.collection(schema.INGEST).stream()))
    theirs: dict[str, dict[str, object]] = {
        f"{schema.OUTBOX}/{second.request_id}": {"status": "queued", "createdAt": datetime.now(UTC)},
        f"{schema.INGEST}/{row.id}": {"processed": False},
        f"{schema.ACCOUNTS}/{ACCOUNT.account_id}": {"name": "theirs"},
    }
    for path, fields in theirs.items():
        applications.document(path).create(fields)
    written = {path: applications.document(path).get().update_time for path in theirs}
    before = invocations(world)
    assert write(world, second, EMPLOYEE) == "written"
    wait_until(lambda: document(ours, schema.OUTBOX, second.request_id).get("status") == "sent", "the answer is sent")
    assert invocations(world) == before + 1
    assert {path: applications.document(path).get().update_time for path in theirs} == written


def test_nothing_of_ours_is_in_the_default_database(ours: Client, applications: Client) -> None:
    found = {collection.id for collection in applications.collections()}
    alien = {name for name in found & OUR_COLLECTIONS if len(list(applications.collection(name).stream())) > 1}
    assert alien == set()
    assert OUR_COLLECTIONS - {collection.id for collection in ours.collections()} == set()
