"""Waiting for a condition, with an answer to what was waited for in vain."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 30.0
_POLL_S = 0.05

Found = TypeVar("Found")


def wait_until(find: Callable[[], Found | None], what: str, limit_s: float = PATIENCE_S) -> Found:
    """The first thing found that counts as true."""
    deadline = time.monotonic() + limit_s
    while True:
        found = find()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {limit_s:.0f} s in vain: {what}"
        time.sleep(_POLL_S)


def stays(holds: Callable[[], bool], what: str, seconds: float) -> None:
    """For what must not happen: looks for a while that some other event gives the length of."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds(), what
        time.sleep(_POLL_S)


async def stays_so(holds: Callable[[], bool], what: str, seconds: float) -> None:
    """`stays`, where the event loop must go on meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert holds(), what
        await asyncio.sleep(_POLL_S)
