"""The functions' time: what day it is, and how long to stay out of another worker's way."""

import random
import time
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def jitter() -> float:
    """Between 0 and 1."""
    return random.random()  # noqa: S311 - spreads retries, guards nothing


def stand_back(conflicts: int) -> None:
    """Sleeps a random part of 20 ms for each conflict so far, at most 200 ms."""
    time.sleep(jitter() * 0.02 * min(conflicts, 10))
