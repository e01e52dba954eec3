"""Runs a local server as the process it is: what the tests of the stand-ins share."""

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from local.processes import Child, Processes, printed
from local.project import ROOT

_numbers = itertools.count(1)


@contextmanager
def running(
    processes: Processes, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """`python -m module` from its ready line until the block ends; fails unless SIGTERM then ends it well."""
    child = processes.start(
        f"{module}-{next(_numbers)}",
        [sys.executable, "-m", module, *arguments],
        environment={"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}", **(environment or {})},
        ready=printed("ready "),
        grace_s=8.0,
    )
    try:
        yield child
    finally:
        processes.stop(child)
    assert child.process.returncode == 0, child.log_tail()


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Waits until the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not come about")
        time.sleep(0.01)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """The same for a test that has calls of its own under way."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not come about")
        await asyncio.sleep(0.01)
