"""The engine over the real protocol, under the connector that runs it, against the wire-level server."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import engine_build, ports, whatsapp
from local.network.client import Network
from local.processes import Processes
from local.whatsapp import NetworkKind
from tests.connector.conftest import Surroundings, new_stage
from tests.connector.stage import TIME_SCALE, Connector, NetworkProcess, Stage, new_phone
from tests.connector.test_engine_process import epoch_s, is_gone, logged, running_engine, served_at_s, serves
from tests.connector.test_sending import new_key
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def programs() -> None:
    engine_build.build()


@pytest.fixture(scope="module")
def wire(processes: Processes, surroundings: Surroundings, programs: None) -> tuple[Surroundings, dict[str, str]]:
    """The same surroundings with the wire-level server in the simulation's place, and how an engine reaches it."""
    control_port = ports.free_port()
    scale = {"TIME_SCALE": str(TIME_SCALE)}
    stand_in = whatsapp.spawn(processes, NetworkKind.REAL, control_port=control_port, scale=scale)
    environment = stand_in.connector_environment(processes)
    found = Surroundings(
        network=Network(control_port),
        network_process=NetworkProcess(child=stand_in.child),
        socket="",
        key=surroundings.key,
        certs_url=surroundings.certs_url,
        metadata_host=surroundings.metadata_host,
    )
    return found, environment


@pytest.fixture
def wire_stage(
    processes: Processes, firestore_emulator: str, wire: tuple[Surroundings, dict[str, str]]
) -> Iterator[Stage]:
    with new_stage(processes, wire[0]) as started:
        yield started


@pytest.fixture
def engine_environment(wire: tuple[Surroundings, dict[str, str]], tmp_path: Path) -> dict[str, str]:
    return wire[1] | {"ENGINE_STORE": f"sqlite:{tmp_path}/engine.db"}


def released(stage: Stage, tmp_path: Path) -> Connector:
    """With the released engine, which is given nothing to connect to."""
    own = {"ENGINE_BINARY": str(engine_build.RELEASE_ENGINE), "ENGINE_STORE": f"sqlite:{tmp_path}/engine.db"}
    connector = stage.start_connector(wait=True, ENGINE_SOCKET="", **own)
    wait_until(lambda: serves(connector), "the engine serves")
    return connector


def test_the_released_engine_serves_its_connector_and_ends_with_it(
    stage: Stage, programs: None, tmp_path: Path
) -> None:
    connector = released(stage, tmp_path)
    account = stage.create_account()
    connector.poke(account)
    stage.await_status(account, "needs_qr")
    assert connector.get("/readyz").status_code == 200
    engine = running_engine(connector)
    began = time.monotonic()
    assert stage.stop(connector) == 0
    assert time.monotonic() - began < 10
    assert is_gone(engine)
    assert logged(connector, "engine_killed") == []
    assert logged(connector, "engine_ended") == []


def test_the_released_engine_is_gone_within_a_second_of_its_connector(
    stage: Stage, programs: None, tmp_path: Path
) -> None:
    connector = released(stage, tmp_path)
    engine = running_engine(connector)
    os.kill(connector.child.process.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(engine), "the engine's end", limit_s=1)
    connector.child.process.wait(timeout=5)


def test_a_killed_engine_comes_back_with_its_session_and_what_came_meanwhile(
    wire_stage: Stage, engine_environment: dict[str, str]
) -> None:
    stage, ours, theirs = wire_stage, new_phone(), new_phone()
    connector = stage.start_connector(wait=True, ENGINE_SOCKET="", **engine_environment)
    chat = stage.network.add_contact(theirs, "Ana").number_jid
    wait_until(lambda: serves(connector), "the engine serves")
    account = stage.paired_account(connector, ours)
    for kills in range(1, 4):
        running_engine(connector).kill()
        killed_at = time.time()
        whatsapp_id = stage.network.write(theirs, ours, f"after kill {kills}")
        told = stage.await_status(account, "connected", reconnectCount=kills)
        assert told["disconnectReason"] is None
        stage.await_row(account, f"{whatsapp_id}-in")
        ended = logged(connector, "engine_ended")[-1]
        connected = [line for line in logged(connector, "status_changed") if line["status"] == "connected"][-1]
        assert epoch_s(ended) - killed_at < 1, "noticed within a second"
        assert 0 < epoch_s(connected) - served_at_s(connector) < 1, "open within a second of serving"
        assert connector.send(account, chat, new_key()) == {"outcome": "sent"}
