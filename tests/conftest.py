"""What the tests run against: real emulators and stand-ins, one of each a session, started when a test first asks for it."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from google.cloud import firestore

from local import emulator, ports
from local.processes import Child, Processes
from local.project import PROJECT_ID

# Of these there is one each in a test process, whichever folder's tests ask for them.
pytest_plugins = ["tests.backend.surroundings", "tests.connector.surroundings", "tests.distribution"]

# A shell that starts a command in the background has it ignore SIGINT, and its children inherit that: tests that interrupt one
# would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)


_PARENT_POLL_S = 0.5


def pytest_configure(config: pytest.Config) -> None:
    """Under make, the process that hands tests out ends with make; those that run them end with it."""
    if "MAKELEVEL" in os.environ and not hasattr(config, "workerinput"):
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Child processes of the session; none outlives it, however it ends. Under make, they end with make."""
    with Processes(purpose="test", ends_with_parent="MAKELEVEL" in os.environ) as started:
        yield started


@pytest.fixture(scope="module")
def own_processes() -> Iterator[Processes]:
    """A module's own, in a folder of their own: for a whole deployment, whose processes and sockets have the names of the session's."""
    with Processes(purpose="test", ends_with_parent="MAKELEVEL" in os.environ) as started:
        yield started


@pytest.fixture(scope="session")
def firestore_process(processes: Processes) -> Child:
    """The Firestore emulator of the session; FIRESTORE_EMULATOR_HOST names it for this process and its children."""
    port = ports.free_port()
    started = emulator.start_firestore(processes, port)
    os.environ["FIRESTORE_EMULATOR_HOST"] = f"{ports.HOST}:{port}"
    os.environ["GOOGLE_CLOUD_PROJECT"] = PROJECT_ID
    return started


@pytest.fixture(scope="session")
def firestore_emulator(firestore_process: Child) -> str:
    """Its host:port."""
    return os.environ["FIRESTORE_EMULATOR_HOST"]


@pytest.fixture(scope="session")
def db(firestore_emulator: str) -> Iterator[firestore.Client]:
    """A server's client, which no rule binds. Tests share the database: use accounts of your own."""
    client = firestore.Client(project=PROJECT_ID)
    yield client
    client.close()
