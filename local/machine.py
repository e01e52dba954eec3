"""The steps that make a machine ready, each done again only when its inputs have changed. Standard library only.

Two set-ups at once wait for each other, and one that was interrupted is repaired by the next.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

from local import engine_build, firestore_jar, go
from local.project import CACHE, OUT, ROOT

NODE_AT_LEAST = 20
_STAMP = ".threadline-set-up"
_UNFINISHED = "unfinished"
_LOG_TAIL_LINES = 20
_TICK_S = 1.0
_PARENT_POLL_S = 0.5
_NPM_CI = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


class StepFailed(Exception):
    """A step that did not succeed: the message says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to be installed into a folder. It is up to date while its folder bears the stamp of its inputs."""

    name: str
    folder: Path
    inputs: tuple[Path, ...]
    install: Callable[["Step", "Runner"], None]
    fresh_after_interruption: bool = False
    """Whether what an interrupted run left behind must be removed first."""

    @property
    def stamp(self) -> Path:
        return self.folder / _STAMP

    def wanted_stamp(self) -> str:
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.inputs]
        return json.dumps([str(ROOT), sys.version.split()[0], *digests])

    def is_done(self) -> bool:
        return self.stamp.is_file() and self.stamp.read_text() == self.wanted_stamp()


@dataclass(kw_only=True)
class Runner:
    """Runs one step's commands into a log, shows how long they take, and ends them when this process ends."""

    name: str
    log: Path
    lock: TextIO
    out: TextIO
    current: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str | Path], *, folder: Path = ROOT) -> None:
        """Raises StepFailed unless the command succeeds."""
        with self.log.open("ab") as log:
            self.current = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[self.lock.fileno()],  # a command that outlives a killed set-up keeps the lock until it ends
            )
            try:
                status = self.current.wait()
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.current.pid, signal.SIGKILL)
                self.current.wait()
        if status != 0:
            raise StepFailed(
                self.complaint(f"`{' '.join(str(part) for part in command[:4])} ...` ended with status {status}")
            )

    def complaint(self, what: str) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        tail = "\n".join(f"    {line}" for line in text.splitlines()[-_LOG_TAIL_LINES:])
        return (
            f"Set-up failed at: {self.name}\n  {what}. The end of its log ({self.log}):\n{tail}\n"
            "  Most often a package registry could not be reached. What is done stays done: "
            "correct the cause and run the same command again."
        )


def main(arguments: list[str], out: TextIO = sys.stdout) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python3.11 -m local.setup {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    _end_with_parent()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    try:
        complaint = node_complaint(_node_version(), has_npm=shutil.which("npm") is not None)
        if complaint:
            raise StepFailed(complaint)
        set_up(COMMANDS[arguments[0]], out)
    except StepFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up was interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


def set_up(steps: Sequence[Step], out: TextIO) -> None:
    """Does the steps that are not up to date. Raises StepFailed."""
    if all(step.is_done() for step in steps):
        return
    with _lock(out) as lock:
        due = [step for step in steps if not step.is_done()]
        for number, step in enumerate(due, start=1):
            _do(step, f"[{number}/{len(due)}] {step.name}", lock, out)


def node_complaint(version: str | None, *, has_npm: bool) -> str | None:
    """What is wrong with this machine's Node, or None. `version` is what `node --version` says, None without a node."""
    number = re.match(r"v(\d+)", version or "")
    if number is None:
        return f"Threadline needs Node {NODE_AT_LEAST} or newer, and there is no `node` on PATH. Install it, then run the same command again."
    if int(number[1]) < NODE_AT_LEAST:
        return f"Threadline needs Node {NODE_AT_LEAST} or newer; `node` on PATH is {version}. Install it, then run the same command again."
    if not has_npm:
        return (
            "There is a `node` on PATH but no `npm`. Install npm (it comes with Node), then run the same command again."
        )
    return None


def _node_version() -> str | None:
    node = shutil.which("node")
    if node is None:
        return None
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout.strip()


def _do(step: Step, title: str, lock: TextIO, out: TextIO) -> None:
    logs = OUT / "set-up"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{re.sub(r'[^a-z0-9]+', '-', step.name.lower())}.log"
    log.unlink(missing_ok=True)
    runner = Runner(name=step.name, log=log, lock=lock, out=out)
    if step.fresh_after_interruption and step.stamp.is_file() and step.stamp.read_text() == _UNFINISHED:
        shutil.rmtree(step.folder)
    wanted = step.wanted_stamp()
    with _progress(title, out):
        step.folder.mkdir(parents=True, exist_ok=True)
        step.stamp.write_text(_UNFINISHED)
        step.install(step, runner)
        step.stamp.write_text(wanted)


@contextmanager
def _progress(title: str, out: TextIO) -> Iterator[None]:
    """One line a step, with the seconds it took; on a terminal they are seen passing."""
    began = time.monotonic()
    over = threading.Event()
    live = out.isatty()

    def tick() -> None:
        while not over.wait(_TICK_S):
            print(f"\r{title} ... {time.monotonic() - began:.0f} s", end="", file=out, flush=True)

    print(f"{title} ...", end="" if live else "\n", file=out, flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    if live:
        ticker.start()
    ended = "failed"
    try:
        yield
        ended = "done"
    finally:
        over.set()
        if live:
            ticker.join()
        print(f"{chr(13) if live else ''}{title}: {ended} in {time.monotonic() - began:.0f} s", file=out, flush=True)


@contextmanager
def _lock(out: TextIO) -> Iterator[TextIO]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "set-up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is at work here; waiting for it ...", file=out, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    """make may be killed: then this process ends, too, and with it what it runs."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _install_venv(requirements: Path) -> Callable[[Step, Runner], None]:
    def install(step: Step, runner: Runner) -> None:
        if not _is_usable_venv(step.folder):
            runner.run([sys.executable, "-m", "venv", "--clear", step.folder])
            step.stamp.write_text(_UNFINISHED)
        pip = (step.folder / "bin/python3.11", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
        runner.run([*pip, "install", "--require-hashes", "-r", requirements])

    return install


def _is_usable_venv(folder: Path) -> bool:
    """Whether its programs run and were made for this place: a moved folder's scripts point to the old one."""
    activate = folder / "bin/activate"
    return (folder / "bin/python3.11").exists() and activate.is_file() and str(folder) in activate.read_text()


def _install_node_modules(step: Step, runner: Runner) -> None:
    runner.run(_NPM_CI, folder=step.folder.parent)
    step.folder.mkdir(exist_ok=True)


def _install_emulator(step: Step, runner: Runner) -> None:
    """firebase-tools' own download; where that host cannot be reached, the Cloud SDK's emulator."""
    try:
        if firestore_jar.find_jar() is not None:
            return
        tools = ROOT / "local/firebase_tools/node_modules/firebase-tools/lib/bin/firebase.js"
        with suppress(StepFailed):
            runner.run(["node", tools, "setup:emulators:firestore", "--non-interactive"], folder=step.folder)
        if firestore_jar.find_jar() is None and firestore_jar.use_cloud_sdk() is None:
            raise StepFailed(
                runner.complaint(
                    "The Firestore emulator could not be downloaded, and no Cloud SDK on this machine holds one. Make its "
                    "download possible, install the Cloud SDK's cloud-firestore-emulator, or name its jar in "
                    f"{firestore_jar.JAR_VARIABLE}"
                )
            )
    except firestore_jar.NotFound as error:
        raise StepFailed(str(error)) from error


def _install_wire_server(_step: Step, runner: Runner) -> None:
    runner.run([DEVELOPMENT.folder / "bin/python", "-m", "tests.whatsapp.build"])


def _install_engine(_step: Step, runner: Runner) -> None:
    runner.run([sys.executable, "-m", "local.engine_build"])


class _GoStep(Step):
    """Done when the machine's own Go will do."""

    def is_done(self) -> bool:
        return go.machine_will_do() or super().is_done()


class _EngineStep(Step):
    """Done when the programs are there: tests that need them build them, too."""

    def is_done(self) -> bool:
        try:
            return engine_build.is_up_to_date()
        except go.NotFound:
            return False


class _EmulatorStep(Step):
    """Done when the jar is there: it may also have been removed from where firebase-tools keeps it."""

    def is_done(self) -> bool:
        try:
            return firestore_jar.find_jar() is not None
        except firestore_jar.NotFound:
            return False


DEVELOPMENT = Step(
    name="Python packages for development",
    folder=ROOT / ".venv",
    inputs=(ROOT / "requirements-dev.txt",),
    install=_install_venv(ROOT / "requirements-dev.txt"),
    fresh_after_interruption=True,
)
FUNCTIONS = Step(
    name="Python packages of the functions, as deployed",
    folder=ROOT / "functions/venv",
    inputs=(ROOT / "functions/requirements.txt",),
    install=_install_venv(ROOT / "functions/requirements.txt"),
    fresh_after_interruption=True,
)
NODE = Step(
    name="Node packages",
    folder=ROOT / "node_modules",
    inputs=(ROOT / "package.json", ROOT / "package-lock.json"),
    install=_install_node_modules,
)
FIREBASE_TOOLS = Step(
    name="Firebase Emulator Suite (the longest step)",
    folder=ROOT / "local/firebase_tools/node_modules",
    inputs=(ROOT / "local/firebase_tools/package.json", ROOT / "local/firebase_tools/package-lock.json"),
    install=_install_node_modules,
)
EMULATOR = _EmulatorStep(name="Firestore emulator", folder=CACHE / "emulator", inputs=(), install=_install_emulator)
GO = _GoStep(
    name="Go",
    folder=go.INSTALLED,
    inputs=(ROOT / "requirements-go.txt",),
    install=_install_venv(ROOT / "requirements-go.txt"),
    fresh_after_interruption=True,
)
ENGINE = _EngineStep(name="Engine", folder=engine_build.FOLDER, inputs=(), install=_install_engine)
WIRE_SERVER = Step(
    name="What the WhatsApp server of the tests needs of whatsmeow",
    folder=CACHE / "whatsapp",
    inputs=(
        ROOT / "connector/engine/go.mod",
        ROOT / "tests/whatsapp/generated.py",
        ROOT / "tests/whatsapp/dump_tokens.go",
    ),
    install=_install_wire_server,
)

_EVERYTHING = (DEVELOPMENT, FUNCTIONS, NODE, FIREBASE_TOOLS, EMULATOR)
COMMANDS: dict[str, tuple[Step, ...]] = {
    "check": (DEVELOPMENT, NODE, GO),
    "test": (*_EVERYTHING, GO, ENGINE, WIRE_SERVER),
    "demo": _EVERYTHING,
    "pair": (DEVELOPMENT, GO, ENGINE),
}
