"""What stands in for WhatsApp: the simulated network, or the wire-level server with the real engine before it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from sys import executable

from local import ports
from local.engine_build import WIRETEST_ENGINE
from local.processes import Child, Processes, printed
from local.project import PYTHONPATH, ROOT

_LIMIT_S = 30.0


class NetworkKind(StrEnum):
    SIMULATED = "simulated"
    """One Python process that is engine and WhatsApp at once (local/network/)."""
    REAL = "real"
    """The engine over the real protocol (connector/engine/), against tests/whatsapp/."""


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A network that was started; both kinds take the same calls on their control port (local/network/README.md)."""

    child: Child
    environment_file: Path | None
    settings: Mapping[str, str]

    def connector_environment(self, processes: Processes) -> dict[str, str]:
        """How a connector reaches it. Returns when the network serves. Raises StartFailed."""
        processes.await_ready(self.child, printed("ready "), time_limit_s=_LIMIT_S)
        found = {} if self.environment_file is None else json.loads(self.environment_file.read_text())
        return {**found, **self.settings}


def spawn(
    processes: Processes,
    kind: NetworkKind,
    *,
    control_port: int,
    scale: Mapping[str, str],
    seed: int | None = None,
    engine_store: str | None = None,
    name: str = "network",
) -> StandIn:
    """Starts a network without waiting for it. `engine_store` is the real engine's; by default a file in the run's folder.

    Two of one run have two names.
    """
    arguments: list[object] = ["--control-port", control_port]
    if kind is NetworkKind.SIMULATED:
        # Relative: a socket's path may have 100 characters at most.
        socket = processes.folder.relative_to(ROOT) / f"{name}.sock"
        module, file = "local.network", None
        arguments += ["--socket", socket] + ([] if seed is None else ["--seed", seed])
        settings = {"ENGINE_SOCKET": str(socket)}
    else:
        module, file = "tests.whatsapp", processes.folder / f"{name}.json"
        arguments += ["--port", ports.free_port(), "--environment-file", file]
        store = engine_store or f"sqlite:{processes.folder / 'engine.db'}"
        settings = {"ENGINE_BINARY": str(WIRETEST_ENGINE), "ENGINE_STORE": store}
    child = processes.spawn(
        name,
        [executable, "-m", module, *map(str, arguments)],
        environment={"PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1", **scale},
        grace_s=2.0,
    )
    return StandIn(child=child, environment_file=file, settings=settings)
