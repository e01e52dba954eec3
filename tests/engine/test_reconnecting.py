"""Connections come back later and later, and not together."""

import asyncio
import time

from tests.engine.conftest import link
from tests.engine.running import RunningEngine, State
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


async def test_a_session_that_is_restarted_again_and_again_waits_longer_each_time(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    """515 asks for a new connection at once only after a pairing."""
    linked = await link(server, engine)
    restarted = len(linked.account.changes)
    waits = []
    for count in range(6):
        logins = linked.device.logins
        server.faults.stream_error(linked.device, 515)
        ended = await linked.account.until_state(State.RECONNECTING, after=restarted + 2 * count)
        assert ended.reason == "stream_error_515"
        began = time.monotonic()
        await server.until(lambda: linked.device.logins > logins, 60, what="the next login")  # noqa: B023
        waits.append(time.monotonic() - began)
        await linked.account.until_state(State.CONNECTED, after=restarted + 2 * count)
    # Any moment of a span that doubles: 1, 2, 4, 8, 16 and 32 s. Six waits that do not grow take 6 s at most, these 32 s on average.
    assert sum(waits) > 6.5
