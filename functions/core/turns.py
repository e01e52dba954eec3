"""Moments that any number of jobs agree on without asking each other."""

import math
import zlib
from datetime import UTC, datetime


def next_turn(name: str, at: datetime, interval_s: float) -> tuple[int, datetime]:
    """The number and the time of the name's next turn: one an interval, each name at its own place in it, and a quarter of an
    interval away at least. So whoever does something at a turn, or slightly before it, finds the turn after it."""
    place_s = zlib.crc32(name.encode()) / 2**32 * interval_s
    number = math.floor((at.timestamp() - place_s) / interval_s + 0.25) + 1
    return number, datetime.fromtimestamp(number * interval_s + place_s, UTC)
