"""The session's networks, identities and flush address, and each test's own stage.

A module that names NETWORKS runs over each of them; the others, and tests that ask for `simulated_stage`, over the simulated one.
"""

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from google.cloud import firestore

from local import engine_build, ports, whatsapp
from local.network.client import Network
from local.processes import Child, Processes, printed
from local.project import ROOT
from local.signing import SigningKey
from local.whatsapp import NetworkKind
from tests.connector.flush_address import FlushAddress
from tests.connector.stage import TIME_SCALE, Connector, Stage

_SCALE = {"TIME_SCALE": str(TIME_SCALE)}


@dataclass(frozen=True, kw_only=True)
class Identities:
    """The tokens of both services."""

    key: SigningKey
    certs_url: str
    metadata_host: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What connector tests over one network share."""

    kind: NetworkKind
    network: Network
    network_child: Child
    engine_settings: dict[str, str]
    identities: Identities


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A module's own stage and connector, for tests that leave nothing behind at it but accounts."""

    stage: Stage
    connector: Connector


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    networks = getattr(metafunc.module, "NETWORKS", None)
    if networks and "surroundings" in metafunc.fixturenames:
        metafunc.parametrize("surroundings", networks, indirect=True, scope="session", ids=str)


@pytest.fixture(scope="session")
def identities(processes: Processes) -> Identities:
    key = SigningKey.generate()
    key_file = processes.folder / "connector-tests-key"
    key.save(key_file)
    functions_port, connector_port, certs_port = ports.free_port(), ports.free_port(), ports.free_port()
    identity = [sys.executable, "-m", "local.identity_server", "--functions-port", str(functions_port)]
    identity += ["--connector-port", str(connector_port), "--certs-port", str(certs_port), "--key-file", str(key_file)]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}", **_SCALE}
    processes.start("connector-tests-identity", identity, environment=environment, ready=printed("ready "))
    return Identities(
        key=key,
        certs_url=f"http://127.0.0.1:{certs_port}/certs",
        metadata_host=f"127.0.0.1:{connector_port}",
    )


@pytest.fixture(scope="session")
def simulated(processes: Processes, identities: Identities) -> Surroundings:
    return _surroundings(NetworkKind.SIMULATED, processes, identities)


@pytest.fixture(scope="session")
def real(processes: Processes, identities: Identities) -> Surroundings:
    engine_build.build()
    return _surroundings(NetworkKind.REAL, processes, identities)


def _surroundings(kind: NetworkKind, processes: Processes, identities: Identities) -> Surroundings:
    control_port = ports.free_port()
    name = f"connector-tests-{kind}"
    stand_in = whatsapp.spawn(processes, kind, control_port=control_port, scale=_SCALE, name=name)
    return Surroundings(
        kind=kind,
        network=Network(control_port),
        network_child=stand_in.child,
        engine_settings=stand_in.connector_environment(processes),
        identities=identities,
    )


@pytest.fixture(scope="session")
def surroundings(request: pytest.FixtureRequest) -> Surroundings:
    """Of the network that the test is run over."""
    kind: NetworkKind = getattr(request, "param", NetworkKind.SIMULATED)
    found: Any = request.getfixturevalue(kind.value)
    assert isinstance(found, Surroundings)
    return found


@pytest.fixture
def firestore_stops(processes: Processes, firestore_emulator: str) -> Iterator[Child]:
    """The emulator's process, for a test that freezes it: thawed again whatever happens."""
    (emulator,) = (child for child in processes.children if child.name == "firestore")
    yield emulator
    emulator.process.send_signal(signal.SIGCONT)


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
