"""The child processes of one launcher: started in sessions of their own, awaited, and ended all together.

Nothing survives: the launcher ends its children when it leaves the `with` block; SIGTERM and SIGHUP make it leave as Ctrl-C does;
it notices when its own parent (make) has died; and when it is killed itself, its guard (local.guard) ends the rest.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from local import ports
from local.project import OUT, ROOT
from local.run_marker import RUN_VARIABLE, kill_marked, new_run_id

_POLL_S = 0.05
_PARENT_POLL_S = 0.5
_OLD_RUN_S = 24 * 3600.0
_LOG_TAIL_LINES = 25


class StartFailed(Exception):
    """A process ended, or was not ready in time. The message names it and ends with its log's tail."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP. As Ctrl-C, and not SystemExit: a test runner takes that one for the failure of a single test."""


@dataclass(frozen=True, kw_only=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    """Where its own words begin, in bytes: others of its name may have written before."""
    grace_s: float

    def log_text(self) -> str:
        return self.log.read_bytes()[self.log_start :].decode(errors="replace")

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None


Ready = Callable[[Child], bool]


def printed(text: str) -> Ready:
    """Ready when a line of the process begins with this text; "address already in use" must not pass for "ready "."""
    return lambda child: any(line.startswith(text) for line in child.log_text().splitlines())


def answers(port: int) -> Ready:
    """Ready when somebody listens on the port."""
    return lambda _: ports.answers(port)


@dataclass(kw_only=True)
class Processes:
    """The processes of one run. Use as a context manager, in the main thread where signals are to be heeded."""

    purpose: str
    ends_with_parent: bool = True
    """Whether the death of the parent process ends this one."""
    run_id: str = field(init=False)
    folder: Path = field(init=False)
    """The run's logs and generated files."""
    children: list[Child] = field(default_factory=list, init=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _old_handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = field(
        default_factory=dict, init=False
    )

    def __post_init__(self) -> None:
        self.run_id = new_run_id(self.purpose)
        self.folder = OUT / "runs" / self.run_id

    def __enter__(self) -> Self:
        _remove_old_runs()
        self.folder.mkdir(parents=True)
        self._start_guard()
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGTERM, signal.SIGHUP):
                self._old_handlers[name] = signal.signal(name, _leave)
        if self.ends_with_parent:
            threading.Thread(target=self._watch_parent, args=(os.getppid(),), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def start(
        self,
        name: str,
        arguments: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        ready: Ready | None = None,
        time_limit_s: float = 30.0,
        grace_s: float = 5.0,
    ) -> Child:
        """Starts a process and waits until it is ready. `environment` is added to this process's own.

        `grace_s` is how long it may take to end by itself after SIGTERM. Raises StartFailed.
        """
        child = self.spawn(name, arguments, environment=environment, folder=folder, grace_s=grace_s)
        if ready is not None:
            self.await_ready(child, ready, time_limit_s=time_limit_s)
        return child

    def spawn(
        self,
        name: str,
        arguments: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        grace_s: float = 5.0,
        shown: bool = False,
    ) -> Child:
        """Starts a process without waiting; await_ready does. `shown`: its standard output is ours, the log has its errors.

        Raises ValueError while another of this name runs: files and sockets are named after a process.
        """
        if any(child.name == name and child.is_running for child in self.children):
            raise ValueError(f"{name} runs already: give the second process another name, or a folder of its own")
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            log_start = output.tell()
            process = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=folder,
                env={**os.environ, **(environment or {}), RUN_VARIABLE: self.run_id},
                stdin=subprocess.DEVNULL,
                stdout=None if shown else output,
                stderr=output,
                start_new_session=True,
            )
        child = Child(name=name, process=process, log=log, log_start=log_start, grace_s=grace_s)
        self.children.append(child)
        return child

    def await_ready(self, child: Child, ready: Ready, *, time_limit_s: float = 30.0) -> None:
        deadline = time.monotonic() + time_limit_s
        while not ready(child):
            if not child.is_running:
                raise StartFailed(
                    _complaint(child, f"ended with status {child.process.returncode} before it was ready")
                )
            if time.monotonic() > deadline:
                raise StartFailed(_complaint(child, f"was not ready after {time_limit_s:.0f} s"))
            time.sleep(_POLL_S)

    def run(
        self,
        name: str,
        arguments: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        time_limit_s: float = 30.0,
    ) -> None:
        """Runs a command to its end. Raises StartFailed unless it succeeds in time."""
        child = self.spawn(name, arguments, environment=environment, folder=folder)
        try:
            child.process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            raise StartFailed(_complaint(child, f"had not ended after {time_limit_s:.0f} s")) from None
        if child.process.returncode != 0:
            raise StartFailed(_complaint(child, f"ended with status {child.process.returncode}"))
        self.stop(child)

    def stop(self, child: Child) -> None:
        """Ends one child and its process group. Idempotent."""
        _end_group(child)
        if child in self.children:
            self.children.remove(child)

    def kill(self, child: Child) -> None:
        """Ends one child and its process group at once, as `kill -9` does."""
        _signal_group(child, signal.SIGKILL)
        child.process.wait()
        if child in self.children:
            self.children.remove(child)

    def end(self) -> None:
        """Ends all, the last started first, then whatever they left behind. Idempotent."""
        if self._over.is_set():
            return
        self._over.set()
        if threading.current_thread() is threading.main_thread():
            old_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not end the ending
            for name in self._old_handlers:
                signal.signal(name, signal.SIG_IGN)
        for child in reversed(list(self.children)):
            self.stop(child)
        kill_marked(self.run_id)
        self._end_guard()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, old_interrupt)
            for name, handler in self._old_handlers.items():
                signal.signal(name, handler)

    def _start_guard(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "local.guard", self.run_id],
            cwd=ROOT,
            env=environment,  # no run's mark: whoever ends an outer run must not end this guard before its work is done
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _end_guard(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()

    def _watch_parent(self, parent: int) -> None:
        while not self._over.wait(_PARENT_POLL_S):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return


def _leave(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


def _end_group(child: Child) -> None:
    """SIGTERM, then SIGKILL when the grace is over; the group's stragglers are killed in any case."""
    if child.is_running:
        _signal_group(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(child.grace_s)
    _signal_group(child, signal.SIGKILL)
    child.process.wait()


def _signal_group(child: Child, number: signal.Signals) -> None:
    """A child's session is its process group, so its own pid names the group."""
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        return


def _complaint(child: Child, what: str) -> str:
    return f"{child.name} {what}. The end of its log ({child.log}):\n{child.log_tail()}"


def _remove_old_runs() -> None:
    runs = OUT / "runs"
    for folder in runs.iterdir() if runs.is_dir() else ():
        if folder.stat().st_mtime < time.time() - _OLD_RUN_S:
            shutil.rmtree(folder, ignore_errors=True)
