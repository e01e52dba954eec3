"""The production model: deployed settings, each kind of fault, restarts, gates; and nothing is left behind."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import httpx
import psutil
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud import tasks_v2
from google.cloud.firestore import Client
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from core import schema
from local.identity_server import FUNCTIONS_ACCOUNT
from local.processes import Processes
from local.production import instances
from local.production import world as production
from local.production.commits import CommitKind
from local.production.faults import NO_FAULTS, FaultKind, FaultPlan
from local.production.holds import Moment
from local.production.world import World
from local.project import PROJECT_ID, REGION
from local.run_marker import marked

BARE = Path(__file__).with_name("bare")
SCALE = 0.05
_names = count()


def wait_for(found: Callable[[], Any], what: str, limit_s: float = 30.0) -> Any:
    deadline = time.monotonic() + limit_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"never came to be: {what}"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Processes(purpose="test", ends_with_parent=False) as processes:
        yield production.start(processes, time_scale=SCALE, source=BARE, names=None, workers=0, late_s=1.0)
        assert len(function_processes(processes)) == 4  # two functions, each a master and its worker
    wait_for(lambda: not function_processes(processes), "no function is left", limit_s=2.0)


def function_processes(processes: Processes) -> list[psutil.Process]:
    return [found for found in marked(processes.run_id) if any("functions-framework" in w for w in found.cmdline())]


@pytest.fixture(scope="module")
def db(world: World) -> Iterator[Client]:
    client = world.client()
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _no_faults(world: World) -> Iterator[None]:
    yield
    world.cloud.strike(NO_FAULTS)
    assert world.firestore_gate is not None
    world.firestore_gate.strike(NO_FAULTS)
    wait_for(lambda: world.cloud.counters()["under_way"] == 0, "nothing is under way")


def named(kind: FaultKind, plan: FaultPlan, *, struck: bool) -> str:
    """A new thing's name that the plan strikes, or does not."""
    names = (f"thing-{next(_names)}" for _ in range(1000))
    return next(name for name in names if plan.strikes(kind, "on_thing", f"things/{name}") is struck)


def create(db: Client, name: str) -> str:
    db.collection("things").document(name).create({})
    return name


def calls(db: Client, name: str) -> list[dict[str, Any]]:
    found = db.collection("calls").where(filter=FieldFilter("of", "==", name)).stream()
    return [snapshot.to_dict() or {} for snapshot in found]


def settle(world: World) -> None:
    wait_for(lambda: world.cloud.counters()["under_way"] == 0, "nothing is under way")


def enqueue(world: World, name: str) -> None:
    channel = grpc.insecure_channel(f"127.0.0.1:{world.ports.tasks}")
    client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
    parent = f"projects/{PROJECT_ID}/locations/{REGION}/queues/work"
    request = tasks_v2.HttpRequest(
        url=world.function_url("work"),
        headers={"Content-Type": "application/json"},
        body=json.dumps({"data": name}).encode(),
        oidc_token=tasks_v2.OidcToken(service_account_email=FUNCTIONS_ACCOUNT),
    )
    client.create_task(parent=parent, task=tasks_v2.Task(name=f"{parent}/tasks/{name}", http_request=request))
    channel.close()


def test_the_settings_are_those_of_the_deploy_manifest(world: World, db: Client) -> None:
    on_thing, work = world.functions["on_thing"], world.functions["work"]
    assert (on_thing.concurrency, on_thing.timeout_s, on_thing.signature) == (3, 9.0, "cloudevent")
    assert on_thing.trigger is not None
    assert (on_thing.trigger.document, on_thing.trigger.retried) == ("things/{thing}", True)
    assert work.queue is not None
    assert (work.signature, work.queue.max_attempts, work.queue.min_backoff_s) == ("http", 9, 1.0)
    name = create(db, named(FaultKind.LATE, NO_FAULTS, struck=False))
    assert wait_for(lambda: calls(db, name), "the call")[0]["threads"] == "7"


def test_a_function_is_called_through_cloud_runs_front_end(world: World, db: Client) -> None:
    """A task queue's function by whom its deploy names, an event's function by nobody."""
    name = f"thing-{next(_names)}"
    for function in ("work", "on_thing"):
        answer = httpx.post(world.function_url(function), json={"data": name})
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html")
    assert not calls(db, name)
    enqueue(world, name)
    wait_for(lambda: calls(db, name), "the call")


async def test_a_call_for_which_no_process_comes_is_answered_429(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "PENDING_S", 0.1)
    instance = instances.Instance(world.functions["work"], 0, {}, BARE, tmp_path)
    async with aiohttp.ClientSession() as session:
        assert (await instance.post(session, "/", [], b"")).status == 429


def test_as_many_calls_at_a_time_as_the_functions_concurrency(world: World, db: Client) -> None:
    began = time.monotonic()
    names = [create(db, f"thing-{next(_names)}") for _ in range(7)]
    wait_for(lambda: all(calls(db, name) for name in names), "all calls")
    assert time.monotonic() - began > 2 * 0.2  # three rounds of three at once


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(FaultKind.TWICE, 2), (FaultKind.REFUSED, 1), (FaultKind.NEVER, 0), (FaultKind.LATE, 1)],
)
@pytest.mark.parametrize("is_task", [False, True], ids=["event", "task"])
def test_deliveries_are_struck_as_the_kind_says(
    world: World, db: Client, kind: FaultKind, expected: int, is_task: bool
) -> None:
    world.cloud.strike(FaultPlan(seed=3, rates={kind: 1.0}))
    name = f"thing-{next(_names)}"
    enqueue(world, name) if is_task else create(db, name)
    wait_for(lambda: world.cloud.counters().get(f"fault_{kind}", 0), "the fault")
    wait_for(lambda: not world.tasks.tasks(), "no task waits")
    settle(world)
    assert len(calls(db, name)) == expected


def test_a_lost_answer_makes_the_work_be_done_again(world: World, db: Client) -> None:
    world.cloud.strike(FaultPlan(rates={FaultKind.ANSWER_LOST: 1.0}))
    name = create(db, f"thing-{next(_names)}")
    wait_for(lambda: len(calls(db, name)) >= 2, "a second call")


def test_an_overtaken_event_comes_after_the_next(world: World, db: Client) -> None:
    plan = FaultPlan(seed=5, rates={FaultKind.OUT_OF_ORDER: 0.5})
    world.cloud.strike(plan)
    first, second = (named(FaultKind.OUT_OF_ORDER, plan, struck=struck) for struck in (True, False))
    create(db, first)
    wait_for(lambda: world.cloud.counters().get(f"fault_{FaultKind.OUT_OF_ORDER}", 0), "the first is held")
    create(db, second)
    wait_for(lambda: calls(db, first) and calls(db, second), "both calls")
    assert calls(db, second)[0]["at"] < calls(db, first)[0]["at"]


def test_a_worker_killed_in_the_middle_is_started_again_and_the_event_comes_again(world: World, db: Client) -> None:
    before = world.cloud.counters()
    world.cloud.strike(FaultPlan(rates={FaultKind.KILLED: 1.0}))
    name = create(db, f"thing-{next(_names)}")
    killed = before.get("killed_on_thing", 0)
    wait_for(lambda: world.cloud.counters().get("killed_on_thing", 0) > killed, "a kill")
    assert not calls(db, name)
    world.cloud.strike(NO_FAULTS)
    wait_for(lambda: calls(db, name), "the call after the restart")
    assert world.cloud.counters()["started_on_thing"] > before["started_on_thing"]


def through_the_gate(world: World) -> Client:
    return production.emulator_client(f"127.0.0.1:{world.ports.firestore_gate}")


def test_a_gate_lets_reads_queries_and_commits_through(world: World) -> None:
    client = through_the_gate(world)
    batch = client.batch()
    for name in ("a", "b"):
        batch.create(client.collection("through").document(name), {"name": name})
    batch.commit()
    query = client.collection("through").where(filter=FieldFilter("name", "==", "b"))
    assert [snapshot.id for snapshot in query.stream()] == ["b"]
    documents = [client.collection("through").document(name) for name in ("a", "missing")]
    assert {s.id: s.exists for s in client.get_all(documents)} == {"a": True, "missing": False}
    client.close()


def test_firestore_refuses_before_or_after_it_has_done_the_work(world: World, db: Client) -> None:
    assert world.firestore_gate is not None
    client = through_the_gate(world)
    world.firestore_gate.strike(FaultPlan(rates={FaultKind.FIRESTORE_REFUSES: 1.0}))
    for number in range(20):
        batch = client.batch()
        batch.create(client.collection("refused").document(str(number)), {})
        with pytest.raises(ServiceUnavailable):
            batch.commit(retry=None)
    assert 0 < len(list(db.collection("refused").stream())) < 20
    client.close()


def test_firestore_hangs_until_the_outage_is_over(world: World, db: Client) -> None:
    assert world.firestore_gate is not None
    client = through_the_gate(world)
    world.firestore_gate.strike(FaultPlan(rates={FaultKind.FIRESTORE_HANGS: 1.0}))
    batch = client.batch()
    batch.create(client.collection("hanging").document("one"), {})
    with pytest.raises(Exception, match=r"504|Deadline"):
        batch.commit(retry=None, timeout=1.0)
    world.firestore_gate.strike(NO_FAULTS)
    assert client.collection("hanging").document("two").create({}) is not None
    client.close()


@pytest.mark.parametrize(("moment", "stands"), [(Moment.BEFORE, False), (Moment.AFTER, True)])
def test_a_commit_is_held_before_or_after_firestore_has_it(
    world: World, db: Client, moment: Moment, stands: bool
) -> None:
    assert world.firestore_gate is not None
    client, row = through_the_gate(world), f"held-{moment}"
    held = world.firestore_gate.hold(production.FUNCTION, CommitKind.WAL, moment, passes=2)
    other = world.firestore_gate.hold(production.FUNCTION, CommitKind.RENEWAL, moment)
    client.collection(schema.INGEST).document(f"{row}-passes").create({})
    with ThreadPoolExecutor(1) as caller:
        creating = caller.submit(client.collection(schema.INGEST).document(row).create, {})
        wait_for(lambda: world.firestore_gate is not None and world.firestore_gate.has_met(held), "the commit")
        assert db.collection(schema.INGEST).document(row).get().exists is stands
        assert not creating.done()
        world.firestore_gate.release(held)
        creating.result()
    assert db.collection(schema.INGEST).document(row).get().exists
    assert not world.firestore_gate.has_met(other)
    world.firestore_gate.release()
    client.close()
