"""Connections come back later and later, and not together."""

import asyncio
import time

from tests.engine.conftest import link
from tests.engine.running import RunningEngine
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.faults import Fault

SESSIONS = 6
WATCHED_S = 4.0


async def test_sessions_that_are_cut_off_together_try_again_ever_more_seldom_and_one_by_one(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    linked = [await link(server, engine, f"shop-{n}", f"+4071111111{n}", f"+4072222222{n}") for n in range(SESSIONS)]
    refused = [server.faults.login_failure(one.phone, 503) for one in linked]
    cut_off_at = time.monotonic()
    for one in linked:
        server.faults.drop(one.device)
    attempts = await _watched(refused, cut_off_at + WATCHED_S)

    firsts = [times[0] - cut_off_at for times in attempts]
    assert max(firsts) - min(firsts) > 0.1, "all came back together"
    # Waits of 0.55, 1.05, 2.05... s on average make three attempts in this time; waits that do not grow, seven.
    assert sum(map(len, attempts)) / SESSIONS < 5


async def _watched(refused: list[Fault], until: float) -> list[list[float]]:
    """When each login was tried."""
    attempts: list[list[float]] = [[] for _ in refused]
    while time.monotonic() < until:
        for fault, times in zip(refused, attempts, strict=True):
            times += [time.monotonic()] * (fault.hits - len(times))
        await asyncio.sleep(0.005)
    return attempts
