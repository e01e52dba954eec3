"""The suite's ports: one offset for all, and a clear word when some are taken."""

import json
import socket
from dataclasses import asdict

import pytest

from local.suite_ports import FIREBASE_JSON, PortsTaken, SuitePorts


def test_an_offset_shifts_every_port_alike() -> None:
    standard, shifted = asdict(SuitePorts.shifted(0)), asdict(SuitePorts.shifted(100))
    assert shifted == {name: port + 100 for name, port in standard.items()}
    assert len(set(standard.values())) == len(standard)


def test_every_emulator_of_firebase_json_is_shifted() -> None:
    config = json.loads(FIREBASE_JSON.read_text())
    emulators = SuitePorts.shifted(100).firebase_config(config)["emulators"]
    ports = {name: settings.get("port") for name, settings in config["emulators"].items() if isinstance(settings, dict)}
    assert {name: emulators[name].get("port") for name in ports} == {
        name: port and port + 100 for name, port in ports.items()
    }
    assert emulators["firestore"]["websocketPort"] == config["emulators"]["firestore"]["websocketPort"] + 100
    assert emulators["ui"] == {"enabled": False}


def test_ports_that_are_taken_are_named_with_what_to_do() -> None:
    ports = SuitePorts.free()
    ports.require_free(0)
    with socket.create_server(("127.0.0.1", ports.connector)), pytest.raises(PortsTaken) as refusal:
        ports.require_free(0)
    assert f"{ports.connector} (connector)" in str(refusal.value)
    assert str(ports.auth) not in str(refusal.value)
    assert "PORT_OFFSET=100" in str(refusal.value)


@pytest.mark.parametrize("offset", [-8000, 60000])
def test_an_offset_that_leaves_the_range_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match="PORT_OFFSET"):
        SuitePorts.shifted(offset)
