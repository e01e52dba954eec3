"""Each test's own stage, and the stand-ins that tests of one module share.

A module that names NETWORKS runs over each of them; the others, and tests that ask for `simulated_stage`, over the simulated one.
"""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from google.cloud import firestore

from local import ports
from local.processes import Child, Processes
from tests.connector.flush_address import FlushAddress
from tests.connector.stage import Connector, Stage
from tests.connector.surroundings import Surroundings


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A module's own stage and connector, for tests that leave nothing behind at it but accounts."""

    stage: Stage
    connector: Connector


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    networks = getattr(metafunc.module, "NETWORKS", None)
    if networks and "surroundings" in metafunc.fixturenames:
        metafunc.parametrize("surroundings", networks, indirect=True, scope="session", ids=str)


@pytest.fixture
def firestore_stops(firestore_process: Child) -> Iterator[Child]:
    """The emulator's process, for a test that freezes it: thawed again whatever happens."""
    yield firestore_process
    firestore_process.process.send_signal(signal.SIGCONT)


@contextmanager
def new_stage(processes: Processes, surroundings: Surroundings) -> Iterator[Stage]:
    project = f"demo-connector-{secrets.token_hex(3)}"
    flush = FlushAddress(ports.free_port())
    started = Stage(
        processes=processes,
        project=project,
        db=firestore.Client(project=project),
        kind=surroundings.kind,
        network=surroundings.network,
        network_child=surroundings.network_child,
        engine_settings=surroundings.engine_settings,
        flush=flush,
        key=surroundings.identities.key,
        certs_url=surroundings.identities.certs_url,
        metadata_host=surroundings.identities.metadata_host,
    )
    try:
        yield started
    finally:
        started.network.clear_faults()
        flush.close()
        started.close()


@pytest.fixture
def stage(processes: Processes, firestore_emulator: str, surroundings: Surroundings) -> Iterator[Stage]:
    with new_stage(processes, surroundings) as started:
        yield started


@pytest.fixture
def simulated_stage(processes: Processes, firestore_emulator: str, simulated: Surroundings) -> Iterator[Stage]:
    """For what cannot be asked of the real network."""
    with new_stage(processes, simulated) as started:
        yield started


@pytest.fixture(scope="module")
def module_stage(processes: Processes, firestore_emulator: str, surroundings: Surroundings) -> Iterator[Stage]:
    """For tests that leave nothing behind at their connector."""
    with new_stage(processes, surroundings) as started:
        yield started


@pytest.fixture(scope="module")
def module_connector(module_stage: Stage) -> Connector:
    return module_stage.start_connector()


@pytest.fixture
def shared(module_stage: Stage, module_connector: Connector) -> Iterator[Shared]:
    yield Shared(stage=module_stage, connector=module_connector)
    module_stage.network.clear_faults()
