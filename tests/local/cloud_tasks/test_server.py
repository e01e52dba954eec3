"""Tasks are taken once for each name, dispatched when they are due, and tried again as the queue says: with Google's own client."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.protobuf import duration_pb2, timestamp_pb2

from identity.headers import SERVERLESS_AUTHORIZATION
from identity.tokens import TokenVerifier
from local.cloud_tasks.client import TaskServer
from local.cloud_tasks.trouble import TroubleKind
from local.ports import free_port
from local.processes import Processes
from tests.local.handler import Handler, handler_served
from tests.local.running import running, until

PARENT = "projects/demo/locations/europe-west1/queues/"
QUICK, ONE_BY_ONE, RATED = PARENT + "quick", PARENT + "onebyone", PARENT + "rated"


@pytest.fixture(scope="module")
def issuer_port(processes: Processes) -> Iterator[int]:
    port = free_port()
    arguments = [f"--functions-port={free_port()}", f"--connector-port={free_port()}", f"--certs-port={port}"]
    with running(processes, "local.identity_server", *arguments):
        yield port


@pytest.fixture(scope="module")
def ports(processes: Processes, issuer_port: int) -> Iterator[tuple[int, int]]:
    port, control_port = free_port(), free_port()
    with running(
        processes,
        "local.cloud_tasks",
        f"--port={port}",
        f"--control-port={control_port}",
        "--queue=quick,max_attempts=3,min_backoff_s=1,max_doublings=1",
        "--queue=onebyone,max_concurrent=1",
        "--queue=rated,max_per_second=20",
        f"--tokens-url=http://127.0.0.1:{issuer_port}",
        environment={"TIME_SCALE": "0.2"},
    ):
        yield port, control_port


@pytest.fixture
def server(ports: tuple[int, int]) -> TaskServer:
    server = TaskServer(ports[1])
    server.reset()
    return server


@pytest.fixture(scope="module")
def client(ports: tuple[int, int]) -> Iterator[tasks_v2.CloudTasksClient]:
    with grpc.insecure_channel(f"127.0.0.1:{ports[0]}") as channel:
        yield tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    async with handler_served() as handler:
        yield handler


def task(handler: Handler, name: str = "", queue: str = QUICK, in_s: float = 0, body: bytes = b"{}") -> tasks_v2.Task:
    """A task as the product makes it."""
    made = tasks_v2.Task(
        name=f"{queue}/tasks/{name}" if name else "",
        http_request=tasks_v2.HttpRequest(
            url=handler.url, headers={"Content-Type": "application/json", "X-Own": "mine"}, body=body
        ),
    )
    if in_s:
        stamp = timestamp_pb2.Timestamp()
        stamp.FromDatetime(datetime.now(UTC) + timedelta(seconds=in_s))
        made.schedule_time = stamp
    return made


async def test_a_task_is_posted_with_its_body_and_production_s_headers(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    created = client.create_task(parent=QUICK, task=task(handler, "named", body=b'{"data": {"a": 1}}'))

    await until(lambda: len(handler.asked) == 1)
    [asked] = handler.asked
    assert (asked.method, asked.body) == ("POST", b'{"data": {"a": 1}}')
    assert (asked.headers["Content-Type"], asked.headers["X-Own"]) == ("application/json", "mine")
    assert asked.headers["User-Agent"] == "Google-Cloud-Tasks"
    assert (asked.headers["X-CloudTasks-QueueName"], asked.headers["X-CloudTasks-TaskName"]) == ("quick", "named")
    assert asked.headers["X-CloudTasks-TaskRetryCount"] == asked.headers["X-CloudTasks-TaskExecutionCount"] == "0"
    assert abs(float(asked.headers["X-CloudTasks-TaskETA"]) - time.time()) < 10
    assert created.name == f"{QUICK}/tasks/named"
    await until(lambda: server.counters() == {"created": 1, "dispatched": 1, "answered_200": 1, "succeeded": 1})


@pytest.mark.parametrize("audience", ["https://audience.example", ""])
async def test_a_task_carries_the_token_of_its_service_account_in_authorization_alone(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler, issuer_port: int, audience: str
) -> None:
    """For its target's address where it names no audience."""
    created = task(handler)
    account = "tasks@demo.iam.gserviceaccount.com"
    created.http_request.oidc_token = tasks_v2.OidcToken(service_account_email=account, audience=audience)
    client.create_task(parent=QUICK, task=created)
    await until(lambda: len(handler.asked) == 1)
    headers = handler.asked[0].headers
    assert SERVERLESS_AUTHORIZATION not in headers
    certs_url = f"http://127.0.0.1:{issuer_port}/certs"
    verifier = TokenVerifier(audience=audience or handler.url, service_account=account, certs_url=certs_url)
    await asyncio.to_thread(verifier.check, headers)


async def test_a_task_without_a_service_account_carries_no_token(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    client.create_task(parent=QUICK, task=task(handler))
    await until(lambda: len(handler.asked) == 1)
    assert "Authorization" not in handler.asked[0].headers


async def test_a_name_is_used_once_while_the_task_lives_and_after_it(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    handler.gate.clear()
    client.create_task(parent=QUICK, task=task(handler, "once"))
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=QUICK, task=task(handler, "once"))
    handler.gate.set()
    await until(lambda: server.tasks() == [])
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=QUICK, task=task(handler, "once"))
    assert server.counters()["already_exists"] == 2
    assert len(handler.asked) == 1


async def test_tasks_without_a_name_get_one_each(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    names = {client.create_task(parent=QUICK, task=task(handler)).name for _ in range(3)}
    assert len(names) == 3
    await until(lambda: len(handler.asked) == 3)


async def test_a_task_waits_for_its_time(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    due = time.time() + 0.5
    client.create_task(parent=QUICK, task=task(handler, "later", in_s=0.5))
    client.create_task(parent=QUICK, task=task(handler, "now"))
    await until(lambda: len(handler.asked) == 2)
    now, later = handler.asked
    assert now.headers["X-CloudTasks-TaskName"] == "now"
    assert later.at >= due - 0.01


async def test_a_failed_task_is_tried_again_after_growing_pauses_and_then_given_up(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    handler.answers = [500, 503, 404]
    client.create_task(parent=QUICK, task=task(handler, "fails"))
    await until(lambda: server.counters().get("given_up") == 1)
    first, second, third = handler.asked
    assert second.at - first.at >= 0.2  # one second, scaled
    assert third.at - second.at >= 0.4
    assert [asked.headers["X-CloudTasks-TaskRetryCount"] for asked in handler.asked] == ["0", "1", "2"]
    assert [asked.headers.get("X-CloudTasks-TaskPreviousResponse") for asked in handler.asked] == [None, "500", "503"]
    assert server.tasks() == []


async def test_a_task_that_succeeds_at_last_ends(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    handler.answers = [500, 204]
    client.create_task(parent=QUICK, task=task(handler, "recovers"))
    await until(lambda: server.counters().get("succeeded") == 1)
    assert len(handler.asked) == 2


async def test_a_handler_that_cannot_be_reached_is_tried_again(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    nowhere = task(handler, "nowhere")
    nowhere.http_request.url = f"http://127.0.0.1:{free_port()}/"
    client.create_task(parent=QUICK, task=nowhere)
    await until(lambda: server.counters().get("given_up") == 1)
    assert server.counters()["unreachable"] == 3


async def test_a_queue_runs_no_more_at_once_than_it_may(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    handler.gate.clear()
    for number in range(3):
        client.create_task(parent=ONE_BY_ONE, task=task(handler, f"t{number}", queue=ONE_BY_ONE))
    client.create_task(parent=QUICK, task=task(handler, "beside-it"))
    await until(lambda: len(handler.asked) == 2)
    handler.gate.set()
    await until(lambda: server.counters().get("succeeded") == 4)
    assert handler.most_at_once == 2  # one of each queue


async def test_a_queue_dispatches_no_faster_than_it_may(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    began = time.time()  # a call that is late on its way makes the time longer, then, and not shorter
    for number in range(14):
        client.create_task(parent=RATED, task=task(handler, f"t{number}", queue=RATED))
    await until(lambda: len(handler.asked) == 14)
    assert handler.asked[-1].at - began >= 0.4  # 14 at 20 a second, less the burst of 0.2 s


@pytest.mark.parametrize("parent", [PARENT + "unknown"])
def test_an_unknown_queue_is_not_found(client: tasks_v2.CloudTasksClient, parent: str) -> None:
    made = tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://127.0.0.1/"))
    with pytest.raises(exceptions.NotFound):
        client.create_task(parent=parent, task=made)


def test_what_production_would_refuse_is_refused(client: tasks_v2.CloudTasksClient) -> None:
    request = tasks_v2.HttpRequest(url="http://127.0.0.1/")
    far = timestamp_pb2.Timestamp()
    far.FromDatetime(datetime.now(UTC) + timedelta(days=31))
    for wrong in (
        tasks_v2.Task(name=f"{QUICK}/tasks/with space", http_request=request),
        tasks_v2.Task(name=f"{ONE_BY_ONE}/tasks/elsewhere", http_request=request),
        tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="ftp://127.0.0.1/")),
        tasks_v2.Task(),
        tasks_v2.Task(http_request=request, dispatch_deadline=duration_pb2.Duration(seconds=14)),
        tasks_v2.Task(http_request=request, dispatch_deadline=duration_pb2.Duration(seconds=1801)),
        tasks_v2.Task(http_request=request, schedule_time=far),
        tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://127.0.0.1/", body=b"x" * 102_400)),
    ):
        with pytest.raises(exceptions.InvalidArgument):
            client.create_task(parent=QUICK, task=wrong)


async def test_tasks_can_be_looked_at_and_deleted(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    made = client.create_task(parent=QUICK, task=task(handler, "waits", in_s=60))
    assert client.get_task(name=made.name).http_request.url == handler.url
    assert [listed.name for listed in client.list_tasks(parent=QUICK)] == [made.name]
    client.delete_task(name=made.name)
    await until(lambda: server.tasks() == [])
    with pytest.raises(exceptions.NotFound):
        client.get_task(name=made.name)
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=QUICK, task=task(handler, "waits"))


async def test_a_task_is_lost_on_request(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    server.trouble(TroubleKind.LOSE)
    client.create_task(parent=QUICK, task=task(handler, "lost"))
    client.create_task(parent=QUICK, task=task(handler, "next"))
    await until(lambda: server.counters().get("succeeded") == 1)
    assert [asked.headers["X-CloudTasks-TaskName"] for asked in handler.asked] == ["next"]
    assert server.tasks() == []
    with pytest.raises(exceptions.AlreadyExists):
        client.create_task(parent=QUICK, task=task(handler, "lost"))


async def test_a_task_is_held_until_it_is_released(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    server.trouble(TroubleKind.HOLD)
    client.create_task(parent=QUICK, task=task(handler, "held"))
    client.create_task(parent=QUICK, task=task(handler, "next"))
    await until(lambda: server.counters().get("succeeded") == 1)
    assert [(waiting.name, waiting.held) for waiting in server.tasks()] == [("held", True)]
    assert server.release() == 1
    await until(lambda: len(handler.asked) == 2)


async def test_a_paused_queue_takes_tasks_and_dispatches_none_until_it_goes_on(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    server.pause()
    client.create_task(parent=QUICK, task=task(handler, "waits"))
    await asyncio.sleep(0.3)  # an idle server dispatches within milliseconds
    assert (handler.asked, server.counters().get("created")) == ([], 1)
    server.resume()
    await until(lambda: len(handler.asked) == 1)


async def test_a_task_is_delivered_twice_on_request(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    handler.gate.clear()
    server.trouble(TroubleKind.DUPLICATE)
    client.create_task(parent=QUICK, task=task(handler, "twice"))
    await until(lambda: handler.at_once == 2)
    handler.gate.set()
    await until(lambda: server.tasks() == [])
    assert [asked.headers["X-CloudTasks-TaskName"] for asked in handler.asked] == ["twice", "twice"]


async def test_a_reset_forgets_tasks_names_and_counters(
    server: TaskServer, client: tasks_v2.CloudTasksClient, handler: Handler
) -> None:
    client.create_task(parent=QUICK, task=task(handler, "again", in_s=60))
    server.reset()
    assert (server.tasks(), server.counters()) == ([], {})
    client.create_task(parent=QUICK, task=task(handler, "again"))
    await until(lambda: len(handler.asked) == 1)
