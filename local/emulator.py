"""The Firestore emulator by itself, without the rest of the Emulator Suite.

`python -m local.emulator exec -- COMMAND` runs a command against one, which FIRESTORE_EMULATOR_HOST names.
"""

import os
import subprocess
import sys
from pathlib import Path

from local import firestore_jar, ports
from local.processes import Child, Processes, StartFailed
from local.project import PROJECT_ID, ROOT

RULES = ROOT / "firestore.rules"


def start_firestore(
    processes: Processes, port: int, *, rules: Path | None = None, functions_port: int | None = None
) -> Child:
    """Starts the emulator on a port of this machine. Without rules it lets everybody do everything.

    `functions_port` is where it hands its events to, for triggers that are registered with it.
    """
    arguments: list[str | Path] = [firestore_jar.java(), "-jar", firestore_jar.jar()]
    arguments += ["--host", ports.HOST, "--port", str(port), "--websocket_port", "0"]
    arguments += ["--project_id", PROJECT_ID]
    if rules is not None:
        arguments += ["--rules", rules]
    if functions_port is not None:
        arguments += ["--functions_emulator", f"{ports.HOST}:{functions_port}"]
    return processes.start(
        "firestore",
        arguments,
        ready=lambda child: "is now running" in child.log_text() and ports.answers(port),
        time_limit_s=60.0,
        grace_s=1.0,  # it keeps nothing
    )


def main(arguments: list[str]) -> int:
    if arguments[:2] != ["exec", "--"] or len(arguments) < 3:
        print("usage: python -m local.emulator exec -- COMMAND...", file=sys.stderr)
        return 2
    with Processes(purpose="emulator") as processes:
        port = ports.free_port()
        try:
            start_firestore(processes, port, rules=RULES if RULES.is_file() else None)
        except (StartFailed, firestore_jar.NotFound) as problem:
            print(problem, file=sys.stderr)
            return 1
        environment = {**os.environ, "FIRESTORE_EMULATOR_HOST": f"{ports.HOST}:{port}", "GCLOUD_PROJECT": PROJECT_ID}
        return subprocess.run(arguments[2:], env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
