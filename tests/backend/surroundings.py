"""The workflows in this process, on real servers; each test has an account of its own."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from google.cloud.firestore import Client

from backend.send_queue import Job
from backend.services import Services
from backend.settings import Settings
from core.timing import Timing
from identity.headers import token_headers
from identity.tokens import IdentityTokens
from local import ports
from local.cloud_tasks.client import TaskServer
from local.identity_server import CONNECTOR_ACCOUNT, FUNCTIONS_ACCOUNT, TASKS_ACCOUNT
from local.processes import Processes, printed
from local.project import PROJECT_ID, PYTHONPATH
from tests.backend.scripted_connector import JOBS_PATH, ScriptedConnector
from tests.backend.world import NOBODY_LISTENS, World

TIME_SCALE = 0.1
"""Claims of 3 s, back-off from 0.2 s."""


class ScriptedTokens(IdentityTokens):
    """The scripted connector checks none; tests/identity and tests/connector do, with real ones."""

    def headers(self, audience: str) -> Mapping[str, str]:
        return token_headers(f"for {audience}")


def build_services(settings: Settings) -> Services:
    """The workflows as one function instance has them; the caller ends them with `close_services`."""
    services = Services(settings)
    object.__setattr__(services.send.connector, "tokens", ScriptedTokens())
    return services


def close_services(services: Services) -> None:
    services.send.connector.http.close()
    services.stores.db.close()


@pytest.fixture(scope="session")
def task_server_ports(processes: Processes) -> tuple[int, int]:
    grpc_port, control_port = ports.free_port(), ports.free_port()
    queue = "threadlineSend,max_attempts=20,min_backoff_s=0.2,max_backoff_s=2"
    arguments = [sys.executable, "-m", "local.cloud_tasks", "--port", str(grpc_port)]
    arguments += ["--control-port", str(control_port), "--queue", queue]
    environment = {"PYTHONPATH": PYTHONPATH}
    processes.start("backend-tasks", arguments, environment=environment, ready=printed("ready "))
    return grpc_port, control_port


@pytest.fixture(scope="session")
def scripted() -> Iterator[tuple[ScriptedConnector, str]]:
    connector = ScriptedConnector()
    server = connector.start()
    yield connector, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def settings(
    firestore_emulator: str, task_server_ports: tuple[int, int], scripted: tuple[ScriptedConnector, str]
) -> Settings:
    _, endpoint = scripted
    return Settings(
        environment={
            "GOOGLE_CLOUD_PROJECT": PROJECT_ID,
            "SEND_URL": f"{endpoint}{JOBS_PATH}",
            "CONNECTOR_ENDPOINTS": f"{endpoint},{NOBODY_LISTENS}",
            "FUNCTIONS_SERVICE_ACCOUNT": FUNCTIONS_ACCOUNT,
            "CONNECTOR_SERVICE_ACCOUNT": CONNECTOR_ACCOUNT,
            "TASKS_SERVICE_ACCOUNT": TASKS_ACCOUNT,
            "CLOUD_TASKS_GRPC": f"127.0.0.1:{task_server_ports[0]}",
        },
        # How much a sweep does in its time is the machine's speed, which no scale changes.
        timing=replace(Timing().scaled(TIME_SCALE), sweep_budget_s=Timing().sweep_budget_s),
    )


@pytest.fixture(scope="session")
def services(settings: Settings, scripted: tuple[ScriptedConnector, str]) -> Iterator[Services]:
    built = build_services(settings)

    def run_job(job: Job, is_retry: bool) -> None:
        built.send.run(job, is_retry=is_retry)

    scripted[0].run_job = run_job
    yield built
    close_services(built)


@pytest.fixture
def another_process(settings: Settings) -> Iterator[Callable[[], Services]]:
    """Makes what a further function instance would hold: clients, caches and locks of its own."""
    made: list[Services] = []

    def make() -> Services:
        made.append(build_services(settings))
        return made[-1]

    yield make
    for services in made:
        close_services(services)


@pytest.fixture
def world(
    db: Client,
    settings: Settings,
    services: Services,
    scripted: tuple[ScriptedConnector, str],
    task_server_ports: tuple[int, int],
) -> World:
    tasks = TaskServer(task_server_ports[1])
    tasks.reset()
    connector, endpoint = scripted
    made = World(db=db, settings=settings, services=services, connector=connector, tasks=tasks, endpoint=endpoint)
    made.connect()
    return made
