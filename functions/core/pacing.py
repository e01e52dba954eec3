"""How fast an account may send, and what that has come to: its limits, its warm-up, and what it has spent of them.

A message is a reply where the contact wrote within the last 24 hours; else it is cold. See docs/pacing.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

REPLY_WINDOW = timedelta(hours=24)
_PARTS_OF_A_DAY = 10
"""The day's cold messages are noted in so many parts, each before its first is sent: the account is written that often for them."""


class Hold(StrEnum):
    """Why a message has to wait: the connector's word for it in an answer, and the code in `lastError`."""

    PACED = "paced"
    COLD_LIMIT = "cold_limit"
    COLD_LOCKED = "cold_locked"


def is_reply(contact_wrote_at: datetime | None, now: datetime) -> bool:
    return contact_wrote_at is not None and now - contact_wrote_at < REPLY_WINDOW


@dataclass(frozen=True, kw_only=True)
class Limits:
    """An account's own, in its document under these names; what is missing, or no number from 1 on, is the default. coldPerDay
    and warmUpDays may also be 0."""

    sends_per_minute: int = 60
    send_burst: int = 20
    cold_per_day: int = 50
    warm_up_days: int = 14


def parse_limits(account: Mapping[str, object]) -> Limits:
    default = Limits()
    return Limits(
        sends_per_minute=_count(account.get("sendsPerMinute"), default.sends_per_minute, least=1),
        send_burst=_count(account.get("sendBurst"), default.send_burst, least=1),
        cold_per_day=_count(account.get("coldPerDay"), default.cold_per_day, least=0),
        warm_up_days=_count(account.get("warmUpDays"), default.warm_up_days, least=0),
    )


def cold_today(limits: Limits, first_paired_at: datetime | None, now: datetime) -> int:
    """How many cold messages an account may send today. A new number's grow day by day to the whole; one of which nobody knows
    since when it is paired counts as new."""
    if limits.warm_up_days == 0 or limits.cold_per_day == 0:
        return limits.cold_per_day
    days = max(0, (now - first_paired_at).days) if first_paired_at is not None else 0
    if days >= limits.warm_up_days:
        return limits.cold_per_day
    return math.ceil(limits.cold_per_day * (days + 1) / (limits.warm_up_days + 1))


def next_day(now: datetime) -> datetime:
    """When a new day's cold messages begin: midnight, UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


@dataclass(kw_only=True)
class PacingRecord:
    """What the account's document holds of it, as its owner knows it. `noted` is what stands there: never less than was spent,
    so that a new owner, whatever became of the one before, sends no more than the day allows, and rather fewer."""

    limits: Limits = field(default_factory=Limits)
    first_paired_at: datetime | None = None
    locked_until: datetime | None = None
    """Until when no cold message is tried."""
    banned_until: datetime | None = None
    _day: date | None = None
    _spent: int = 0
    _noted: int = 0
    _noted_lock: datetime | None = None

    def is_locked(self, now: datetime) -> bool:
        return self.locked_until is not None and now < self.locked_until

    def is_banned(self, now: datetime) -> bool:
        return self.banned_until is not None and now < self.banned_until

    def spend(self, now: datetime) -> bool:
        """One cold message of today's; False where none is left."""
        today = now.astimezone(UTC).date()
        if self._day is None or today > self._day:  # a clock that was set back begins no second day
            self._day, self._spent, self._noted = today, 0, 0
        if self._spent >= cold_today(self.limits, self.first_paired_at, now):
            return False
        self._spent += 1
        return True

    def give_back(self) -> None:
        """It provably did not leave."""
        self._spent = max(0, self._spent - 1)

    def must_be_noted(self) -> bool:
        """Whether more was spent than stands in the document: it is to be written before the message leaves."""
        return self._spent > self._noted

    def noted_ahead(self, now: datetime) -> tuple[dict[str, object], int]:
        """The fields to write, and what `note` is told when they stand. A part more than was spent: the next ones cost no write."""
        part = max(1, cold_today(self.limits, self.first_paired_at, now) // _PARTS_OF_A_DAY)
        ahead = max(self._noted, self._spent + part - 1)
        return self._count_fields(ahead), ahead

    def note(self, count: int) -> None:
        self._noted = max(self._noted, count)

    def left_fields(self) -> dict[str, object]:
        """What an owner that leaves in order writes: what was noted and not spent is free again."""
        return self._count_fields(self._spent) if self._noted > self._spent else {}

    def ban(self, ends_at_unix_s: int) -> dict[str, object]:
        """WhatsApp says until when, or 0."""
        self.banned_until = datetime.fromtimestamp(ends_at_unix_s, UTC) if ends_at_unix_s > 0 else None
        return {"bannedUntil": self.banned_until}

    def ban_over_fields(self) -> dict[str, object]:
        """The account is connected."""
        was_banned, self.banned_until = self.banned_until is not None, None
        return {"bannedUntil": None} if was_banned else {}

    def paired(self, now: datetime) -> dict[str, object]:
        """The account is connected: since when, at least, its number is known to WhatsApp."""
        if self.first_paired_at is not None:
            return {}
        self.first_paired_at = now
        return {"firstPairedAt": now}

    def refused(self, now: datetime, usual: timedelta) -> datetime:
        """WhatsApp has refused a message as cold. Until when none is tried: where a lock stands, to its end, which may be
        WhatsApp's own word; else for the usual time."""
        if self.locked_until is None or not self.is_locked(now):
            self.locked_until = now + usual
        return self.locked_until

    def told(self, *, is_active: bool, ends_at_unix_s: int) -> None:
        """WhatsApp's own word about the lock, which stands above what is thought after a refusal. 0: it names no end, so a refusal is
        waited for, or its usual time."""
        if not is_active:
            self.locked_until = None
        elif ends_at_unix_s > 0:
            self.locked_until = datetime.fromtimestamp(ends_at_unix_s, UTC)

    def unlock(self) -> None:
        self.locked_until = None

    def lock_fields(self) -> dict[str, object]:
        """To be written; none where it stands already."""
        if self.locked_until == self._noted_lock:
            return {}
        self._noted_lock = self.locked_until
        return {"coldLockedUntil": self.locked_until}

    def _count_fields(self, count: int) -> dict[str, object]:
        return {"coldSentOn": self._day.isoformat() if self._day else None, "coldSentCount": count}


def parse_record(account: Mapping[str, object]) -> PacingRecord:
    """As an account's document says. A count that cannot be read is none."""
    on, count = account.get("coldSentOn"), _count(account.get("coldSentCount"), 0, least=0)
    try:
        day = date.fromisoformat(on) if isinstance(on, str) else None
    except ValueError:
        day = None
    return PacingRecord(
        limits=parse_limits(account),
        first_paired_at=_time(account.get("firstPairedAt")),
        locked_until=_time(account.get("coldLockedUntil")),
        banned_until=_time(account.get("bannedUntil")),
        _day=day,
        _spent=count,
        _noted=count,
        _noted_lock=_time(account.get("coldLockedUntil")),
    )


def _count(value: object, default: int, *, least: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else default


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
