"""A limit on how often something begins: one after the other, never closer together than the interval, and in no step with others."""

import asyncio
import random
import time
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Pace:
    """What waits takes its turn in the order of the calls."""

    interval_s: float
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _next_s: float = field(default=0.0, init=False)

    async def turn(self) -> None:
        """Returns when the caller may begin: an interval, or up to half as much again, after the one before."""
        async with self._turn:
            await asyncio.sleep(max(0.0, self._next_s - time.monotonic()))
            pause_s = self.interval_s * random.uniform(1.0, 1.5)  # noqa: S311 - jitter, not a secret
            self._next_s = time.monotonic() + pause_s
