"""The session's simulated network, identities and flush address, and each test's own stage."""

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from google.cloud import firestore

from local import ports
from local.network.client import Network
from local.processes import Child, Processes, printed
from local.project import ROOT
from local.signing import SigningKey
from tests.connector.flush_address import FlushAddress
from tests.connector.stage import TIME_SCALE, NetworkProcess, Stage


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all connector tests share."""

    network: Network
    network_process: NetworkProcess
    socket: str
    key: SigningKey
    certs_url: str
    metadata_host: str


@pytest.fixture(scope="session")
def surroundings(processes: Processes) -> Surroundings:
    key = SigningKey.generate()
    key_file = processes.folder / "connector-tests-key"
    key.save(key_file)
    functions_port, connector_port, certs_port = ports.free_port(), ports.free_port(), ports.free_port()
    socket = os.path.relpath(processes.folder / "engine.sock", ROOT)
    control_port = ports.free_port()
    identity = [sys.executable, "-m", "local.identity_server", "--functions-port", str(functions_port)]
    identity += ["--connector-port", str(connector_port), "--certs-port", str(certs_port), "--key-file", str(key_file)]
    network = [sys.executable, "-m", "local.network", "--socket", socket, "--control-port", str(control_port)]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}", "TIME_SCALE": str(TIME_SCALE)}
    processes.start("connector-tests-identity", identity, environment=environment, ready=printed("ready "))
    network_child = processes.start(
        "connector-tests-network", network, environment=environment, ready=printed("ready ")
    )
    return Surroundings(
        network=Network(control_port),
        network_process=NetworkProcess(child=network_child),
        socket=socket,
        key=key,
        certs_url=f"http://127.0.0.1:{certs_port}/certs",
        metadata_host=f"127.0.0.1:{connector_port}",
    )


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
        network=surroundings.network,
        network_process=surroundings.network_process,
        socket=surroundings.socket,
        flush=flush,
        key=surroundings.key,
        certs_url=surroundings.certs_url,
        metadata_host=surroundings.metadata_host,
    )
    try:
        yield started
    finally:
        surroundings.network.clear_faults()
        flush.close()
        started.close()


@pytest.fixture
def stage(processes: Processes, firestore_emulator: str, surroundings: Surroundings) -> Iterator[Stage]:
    with new_stage(processes, surroundings) as started:
        yield started


@pytest.fixture(scope="module")
def module_stage(processes: Processes, firestore_emulator: str, surroundings: Surroundings) -> Iterator[Stage]:
    """For tests that leave nothing behind at their connector."""
    with new_stage(processes, surroundings) as started:
        yield started
