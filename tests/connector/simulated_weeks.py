"""Weeks of an account's life, drawn from a seed: when conversations come, and the minutes in which something is heard of them."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
"""Four weeks before the clocks of Bucharest change."""
MINUTE = timedelta(minutes=1)
_ZONE = ZoneInfo("Europe/Bucharest")


@dataclass(frozen=True, kw_only=True)
class Life:
    """`per_hour`: conversations that begin within an hour of local time, on an average day."""

    per_hour: Callable[[datetime], float]
    mean_minutes: float = 10.0
    """How long a conversation lasts, on average."""
    daily_spread: float = 0.35
    """Days differ: the standard deviation of the logarithm of their traffic."""

    def heard(
        self, begins: datetime, days: int, seed: int, holidays: frozenset[int] = frozenset()
    ) -> Iterator[datetime]:
        """Minutes in which something is heard, in order, some twice. `holidays` are days, counted from 0, on which nobody works."""
        draw = random.Random(seed)
        minutes: set[datetime] = set()
        for day in range(days):
            factor = math.exp(draw.gauss(0.0, self.daily_spread)) * (0.03 if day in holidays else 1.0)
            for minute in range(24 * 60):
                at = begins + timedelta(days=day, minutes=minute)
                rate = self.per_hour(at.astimezone(_ZONE)) * factor / 60
                if draw.random() < rate:
                    minutes.update(self._conversation(at, draw))
        yield from sorted(minutes)

    def _conversation(self, at: datetime, draw: random.Random) -> Iterator[datetime]:
        """A message, and what follows it: answers' receipts, further messages, a minute or a few apart."""
        ends = at + timedelta(minutes=draw.expovariate(1 / self.mean_minutes))
        while at <= ends:
            yield at
            at += MINUTE * (1 + int(draw.expovariate(1 / 2.0)))
        yield at


def office(conversations: float, *, at_night: float = 0.0) -> Callable[[datetime], float]:
    """Monday to Friday from 9 to 18, fewer at noon, Saturday until 13, a tenth in the evening."""

    def per_hour(local: datetime) -> float:
        hour, day = local.hour, local.weekday()
        if day == 6 or (day == 5 and not 9 <= hour < 13):
            return at_night
        if 9 <= hour < 18:
            return conversations * (0.5 if hour == 13 else 1.0) * (0.5 if day == 5 else 1.0)
        return conversations * 0.1 if 18 <= hour < 22 else at_night

    return per_hour


def around_the_clock(conversations: float) -> Callable[[datetime], float]:
    """Most in the evening, a fifth of it before dawn."""
    return lambda local: conversations * (0.6 + 0.4 * math.cos((local.hour - 20) / 24 * 2 * math.pi))
