"""The ports of the local suite: the emulators' as firebase.json has them, ours beside them, all shifted by one offset."""

import json
from dataclasses import dataclass, fields
from typing import Any, Self

from local import ports
from local.project import ROOT

FIREBASE_JSON = ROOT / "firebase.json"


class PortsTaken(Exception):
    """Ports that the suite needs are in use; the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class SuitePorts:
    auth: int
    functions: int
    firestore: int
    firestore_websocket: int
    hub: int
    logging: int
    eventarc: int
    tasks_emulator: int
    """The Suite starts its own Tasks emulator with the functions; nothing uses it."""
    cloud_tasks: int
    cloud_tasks_control: int
    identity_functions: int
    identity_connector: int
    identity_certs: int
    network_control: int
    connector: int
    functions_front: int
    """Cloud Run's front end before the functions, and the next one before the connector: the addresses that are called."""
    connector_front: int

    @classmethod
    def shifted(cls, offset: int) -> Self:
        """Raises ValueError when a port would leave 1024 to 65535."""
        emulators = json.loads(FIREBASE_JSON.read_text())["emulators"]
        standard = {
            "auth": emulators["auth"]["port"],
            "functions": emulators["functions"]["port"],
            "firestore": emulators["firestore"]["port"],
            "firestore_websocket": emulators["firestore"]["websocketPort"],
            "hub": emulators["hub"]["port"],
            "logging": emulators["logging"]["port"],
            "eventarc": emulators["eventarc"]["port"],
            "tasks_emulator": emulators["tasks"]["port"],
            "cloud_tasks": 8123,
            "cloud_tasks_control": 8124,
            "identity_functions": 8125,
            "identity_connector": 8126,
            "identity_certs": 8127,
            "network_control": 8128,
            "connector": 8129,
            "functions_front": 8130,
            "connector_front": 8131,
        }
        shifted = {name: port + offset for name, port in standard.items()}
        if not all(1024 <= port <= 65535 for port in shifted.values()):
            raise ValueError(f"PORT_OFFSET={offset} leads to ports outside 1024 to 65535; try PORT_OFFSET=100")
        return cls(**shifted)

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody uses now, for tests beside other suites."""
        return cls(**{field.name: ports.free_port() for field in fields(cls)})

    def require_free(self, offset: int) -> None:
        """Raises PortsTaken, naming every port that is in use."""
        taken = [
            f"  {getattr(self, field.name)} ({field.name.replace('_', ' ')})"
            for field in fields(self)
            if ports.is_taken(getattr(self, field.name))
        ]
        if taken:
            listed = "\n".join(taken)
            raise PortsTaken(
                f"Ports that Threadline needs are taken by other programs:\n{listed}\n"
                f"End those programs, or use other ports: make demo PORT_OFFSET={offset + 100}"
            )

    def firebase_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """firebase.json's content with these ports."""
        emulators = {
            name: dict(settings) for name, settings in config["emulators"].items() if isinstance(settings, dict)
        }
        for name in ("auth", "functions", "firestore", "hub", "logging", "eventarc"):
            emulators[name]["port"] = getattr(self, name)
        emulators["firestore"]["websocketPort"] = self.firestore_websocket
        emulators["tasks"]["port"] = self.tasks_emulator
        others = {name: setting for name, setting in config["emulators"].items() if not isinstance(setting, dict)}
        return {**config, "emulators": {**emulators, **others}}
