"""Whether anything of a run is left: its marked processes, and the guard that ends them."""

import time

import psutil

from local.run_marker import marked

LIMIT_S = 20.0


def await_none(run_id: str) -> None:
    """Fails when something is left after the time limit."""
    deadline = time.monotonic() + LIMIT_S
    while left := of_run(run_id):
        assert time.monotonic() < deadline, f"left of {run_id}: {left}"
        time.sleep(0.1)


def of_run(run_id: str) -> list[str]:
    """The command lines of what lives."""
    guards = [
        process for process in psutil.process_iter(["cmdline"]) if _is_guard(process.info["cmdline"] or [], run_id)
    ]
    left = [*marked(run_id), *guards]
    return [f"{process.pid} {process.name()}" for process in left if process.is_running()]


def _is_guard(command_line: list[str], run_id: str) -> bool:
    return command_line[1:] == ["-m", "local.guard", run_id]
