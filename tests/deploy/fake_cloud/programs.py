"""The fake programs: run one command on the state, keep a record of it, and put them on a PATH as executables."""

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.deploy.fake_cloud import admin, firebase, gcloud, gcloud_data, gcloud_run
from tests.deploy.fake_cloud.cloud import STATE_VARIABLE, Cloud, Refusal, load, save

ROOT = Path(__file__).resolve().parents[3]
HANDLERS = {**gcloud.HANDLERS, **gcloud_data.HANDLERS, **gcloud_run.HANDLERS}


class Ended(Exception):
    """A program's end with a status that is not 0."""

    def __init__(self, status: int, errors: str) -> None:
        super().__init__(errors)
        self.status = status


def call(cloud: Cloud, program: str, arguments: Sequence[str], given: str | None, folder: Path) -> str:
    """What the program prints. Raises Ended. Whatever happens, the command is recorded."""
    record = {"program": program, "arguments": list(arguments), "status": 0}
    cloud.state["log"].append(record)
    cloud.changed = False
    try:
        for value in cloud.secret_values():
            if any(
                value in argument or (len(value) > 8 and argument in value and len(argument) > 16)
                for argument in arguments
            ):
                raise Refusal("a secret is on the command line")
        answer = _answer(cloud, program, list(arguments), given, folder)
    except Refusal as refusal:
        record["status"] = refusal.status
        raise Ended(refusal.status, f"ERROR: {refusal}\n") from refusal
    finally:
        record["changed"] = cloud.changed
    return answer if isinstance(answer, str) else json.dumps(answer if answer is not None else {})


def _answer(cloud: Cloud, program: str, arguments: list[str], given: str | None, folder: Path) -> Any:
    if program == "gcloud":
        return gcloud.run(cloud, HANDLERS, arguments, given)
    if program == "firebase":
        return firebase.run(cloud, arguments, folder)
    return admin.run(cloud, arguments)


def main(program: str, arguments: Sequence[str]) -> int:
    path = Path(os.environ[STATE_VARIABLE])
    given = None if sys.stdin.isatty() else sys.stdin.read()
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several may run at the same time
        return _run(program, arguments, given, path)


def _run(program: str, arguments: Sequence[str], given: str | None, path: Path) -> int:
    cloud = load(path)
    try:
        sys.stdout.write(call(cloud, program, arguments, given, Path.cwd()) + "\n")
    except Ended as end:
        sys.stderr.write(str(end))
        return end.status
    finally:
        save(cloud, path)
    return 0


def install(folder: Path) -> None:
    """Executables `gcloud`, `firebase` and `threadline-admin` (for `python -m connector.admin`) in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, program in (("gcloud", "gcloud"), ("firebase", "firebase"), ("threadline-admin", "admin")):
        script = folder / name
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.deploy.fake_cloud.programs import main; sys.exit(main({program!r}, sys.argv[1:]))"
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n')
        script.chmod(0o755)
