"""Turns are no closer together than their interval, and in no step with anybody else's."""

from dataclasses import dataclass
from itertools import pairwise

import pytest

from connector import pace as pace_module
from connector.pace import Pace

INTERVAL_S = 0.1
TURNS = 50


@dataclass
class Clock:
    """Stands still but where somebody sleeps."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace_module, "asyncio", clock)
    monkeypatch.setattr(pace_module, "time", clock)
    return clock


async def pauses(clock: Clock) -> list[float]:
    pace, turns = Pace(interval_s=INTERVAL_S), []
    for _ in range(TURNS):
        await pace.turn()
        turns.append(clock.now_s)
    return [round(after - before, 6) for before, after in pairwise(turns)]


async def test_turns_are_an_interval_apart_or_up_to_half_as_much_again(clock: Clock) -> None:
    assert all(INTERVAL_S <= pause <= INTERVAL_S * 1.5 for pause in await pauses(clock))


async def test_two_that_begin_together_do_not_go_in_step(clock: Clock) -> None:
    one, other = await pauses(clock), await pauses(clock)
    assert len(set(one)) > 1
    assert one != other


async def test_who_comes_long_after_the_last_turn_does_not_wait(clock: Clock) -> None:
    pace = Pace(interval_s=INTERVAL_S)
    await pace.turn()
    clock.now_s = later = clock.now_s + INTERVAL_S * 2
    await pace.turn()
    assert clock.now_s == later
