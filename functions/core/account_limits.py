"""An account's limits, which a super-admin may set: their names in its document, their defaults, and what each may be."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.expiry import limit_s
from core.pacing import Limits, parse_limits
from core.timing import Timing

_DAY_S = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Limit:
    default: int
    least: int
    most: int
    meaning: str

    def problem(self, name: str, value: object) -> str | None:
        """What is wrong with a value that somebody sets; null is right, and the default."""
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most:
            return None
        return f"{name} must be a whole number from {self.least} to {self.most}, or null for the default, which is {self.default}"


_PACE, _TIMING = Limits(), Timing()
LIMITS: Mapping[str, Limit] = {
    "sendsPerMinute": Limit(
        default=_PACE.sends_per_minute, least=1, most=600, meaning="messages a minute, replies and cold ones together"
    ),
    "sendBurst": Limit(
        default=_PACE.send_burst, least=1, most=600, meaning="how many may leave at once after a quiet time"
    ),
    "coldPerDay": Limit(
        default=_PACE.cold_per_day,
        least=0,
        most=10_000,
        meaning="messages a day to people who have not written; 0: none",
    ),
    "warmUpDays": Limit(
        default=_PACE.warm_up_days,
        least=0,
        most=365,
        meaning="days in which a new number grows to coldPerDay; 0: at once",
    ),
    "queueLimitS": Limit(
        default=int(_TIMING.queue_limit_s),
        least=int(_TIMING.queue_limit_least_s),
        most=30 * _DAY_S,
        meaning="seconds that a message may wait before it ends as expired",
    ),
}


class InvalidLimit(ValueError):
    """The words say which limit is wrong and what it may be; they quote no value."""


def checked(changes: Mapping[str, object]) -> dict[str, object]:
    """The fields to write. None sets the default. Raises InvalidLimit."""
    if any(name not in LIMITS for name in changes):
        raise InvalidLimit(f"an account's limits are {', '.join(LIMITS)}; another name was given")
    problems = [LIMITS[name].problem(name, value) for name, value in changes.items()]
    if wrong := [problem for problem in problems if problem is not None]:
        raise InvalidLimit("; ".join(wrong))
    return dict(changes)


@dataclass(frozen=True, kw_only=True)
class InForce:
    value: int
    is_default: bool
    """Nothing valid stands in the account's document."""


def in_force(account: Mapping[str, object]) -> dict[str, InForce]:
    """What holds for an account, as those read it who heed it."""
    pace = parse_limits(account)
    values = {
        "sendsPerMinute": pace.sends_per_minute,
        "sendBurst": pace.send_burst,
        "coldPerDay": pace.cold_per_day,
        "warmUpDays": pace.warm_up_days,
        "queueLimitS": int(limit_s(account, _TIMING)),
    }
    return {
        name: InForce(value=value, is_default=value == LIMITS[name].default and account.get(name) != value)
        for name, value in values.items()
    }


def known(account: Mapping[str, object]) -> dict[str, object]:
    """The same as data, for those who ask."""
    return {name: {"value": each.value, "isDefault": each.is_default} for name, each in in_force(account).items()}
