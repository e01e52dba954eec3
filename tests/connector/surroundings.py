"""The networks and identities of connector tests: one of each a test process, whichever folder's tests ask for them."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from local import engine_build, ports, whatsapp
from local.network.client import Network
from local.processes import Child, Processes, printed
from local.project import ROOT
from local.signing import SigningKey
from local.whatsapp import NetworkKind
from tests.connector.stage import TIME_SCALE

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
