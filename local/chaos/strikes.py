"""What is killed, and when: drawn by a hash of seed and number, so that a seed repeats its schedule."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Victim(StrEnum):
    ENGINE_AT_POINT = "engine at a point"
    """The engine kills itself when it passes a point in its work for the n-th time (its test build has the points)."""
    ENGINE = "engine at any moment"
    CONNECTOR = "connector at any moment"
    """Its engine dies with it."""


POINTS = (
    "inbox.entry",
    "inbox.saved",
    "event.handed",
    "ack.before",
    "ack.after",
    "send.frame",
    "send.acked",
)
"""The engine's fail points: see connector/engine/README.md."""
_MAX_PASSES = 3
_MAX_DELAY_S = 0.8
_SHARES = ((Victim.ENGINE_AT_POINT, 0.6), (Victim.ENGINE, 0.15), (Victim.CONNECTOR, 0.25))


@dataclass(frozen=True, kw_only=True)
class Strike:
    """`delay_s`: from the moment that messages begin to move. `point` and `passes` are for an engine at a point."""

    victim: Victim
    delay_s: float
    point: str
    passes: int

    @property
    def plan(self) -> str:
        """What the engine's test build reads when it starts; empty where it is not to kill itself."""
        return f"{self.point}:{self.passes}" if self.victim is Victim.ENGINE_AT_POINT else ""


def draw_strikes(seed: int, number: int) -> Sequence[Strike]:
    return [_draw(f"{seed}|{place}") for place in range(number)]


def _draw(occasion: str) -> Strike:
    which, when, where, often = (_fraction(f"{occasion}|{word}") for word in ("victim", "delay", "point", "passes"))
    victim = Victim.CONNECTOR
    for candidate, share in _SHARES:
        if which < share:
            victim = candidate
            break
        which -= share
    return Strike(
        victim=victim,
        delay_s=when * _MAX_DELAY_S,
        point=POINTS[int(where * len(POINTS))],
        passes=1 + int(often * _MAX_PASSES),
    )


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56
