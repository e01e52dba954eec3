"""`make demo` as a process of its own: what it prints, its run's id, and a place among the ports that is free."""

import os
import queue
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from local import ports
from local.project import OUT, ROOT
from local.suite_ports import SuitePorts
from tests.local import survivors


def free_offset() -> int:
    """Leads below the ports that the system gives to connections: one of those may be taken between this look and the start."""
    for _ in range(100):
        offset = random.randrange(6000, 22000)
        if not any(ports.is_taken(port) for port in asdict(SuitePorts.shifted(offset)).values()):
            return offset
    raise AssertionError("no offset leads to free ports")


@dataclass(kw_only=True)
class DemoRun:
    process: subprocess.Popen[str]
    offset: int
    output: str = ""
    _lines: "queue.Queue[str]" = field(default_factory=queue.Queue)

    def read_on(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def await_line(self, text: str, limit_s: float = 120.0) -> str:
        """Fails when the demo ends or the time passes before it has printed a line with this text."""
        deadline = time.monotonic() + limit_s
        while True:
            line = self._next_line(deadline, text)
            assert line, f"the demo ended before it printed {text!r}:\n{self.output}"
            if text in line:
                return line

    def await_end(self, limit_s: float = 120.0) -> int:
        deadline = time.monotonic() + limit_s
        while self._next_line(deadline, "its end"):
            pass
        return self.process.wait(timeout=30)

    def write_line(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def run_id(self) -> str:
        """Of the demo that this make has started: the only one whose emulators have our ports."""
        ours = re.compile(rf'"port": {SuitePorts.shifted(self.offset).auth}\b')
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for config in (OUT / "runs").glob("demo-*/emulators/firebase.json"):
                if ours.search(config.read_text()):
                    return config.parent.parent.name
            assert self.process.poll() is None, self.output
            time.sleep(0.1)
        raise AssertionError(f"no demo has begun:\n{self.output}")

    def _next_line(self, deadline: float, wanted: str) -> str:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"no {wanted!r} in time; so far:\n{self.output}") from None
        self.output += line
        return line


@contextmanager
def make_demo(*arguments: str, offset: int | None = None) -> Iterator[DemoRun]:
    """Without a terminal and, like a service's console, in a session of its own. Killed with all it started when the block ends."""
    offset = free_offset() if offset is None else offset
    process = subprocess.Popen(
        ["make", "demo", f"PORT_OFFSET={offset}", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    demo = DemoRun(process=process, offset=offset)
    reader = threading.Thread(target=demo.read_on, daemon=True)
    reader.start()
    try:
        yield demo
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(timeout=survivors.LIMIT_S)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
