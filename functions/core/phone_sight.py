"""When an account's phone was last seen. WhatsApp unlinks every device of a phone that was not seen for 14 days."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_PING_AFTER_DAYS = 10
_ALERT_AFTER_DAYS = 12
_UNLINKED_AFTER_DAYS = 14
_WRITES_A_DAY = 24


@dataclass(kw_only=True)
class PhoneRecord:
    """`phoneLastSeenAt` of an account, as its owner knows it. `day_s` is how long a day lasts: 86,400 seconds, but in tests."""

    last_seen_at: datetime | None = None
    """None: not known. The count begins when the account is connected next."""
    day_s: float = 86_400.0
    _written_at: datetime | None = field(default=None, init=False)
    _pinged_at: datetime | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._written_at = self.last_seen_at

    def seen(self, at: datetime, now: datetime) -> None:
        """The phone has said something. A time in the future counts as now, and an older one changes nothing."""
        at = min(at, now)
        if self.last_seen_at is None or at > self.last_seen_at:
            self.last_seen_at = at

    def begin(self, now: datetime) -> None:
        """Nothing is known of the phone: the count begins."""
        if self.last_seen_at is None:
            self.last_seen_at = now

    def due_fields(self) -> dict[str, object]:
        """The field to write, once an hour at most; none where the document is near enough."""
        at, written = self.last_seen_at, self._written_at
        if at is None or (written is not None and at - written < self._days(1 / _WRITES_A_DAY)):
            return {}
        return self.fields()

    def fields(self) -> dict[str, object]:
        self._written_at = self.last_seen_at
        return {"phoneLastSeenAt": self.last_seen_at}

    def must_be_pinged(self, now: datetime) -> bool:
        """Once a day from the tenth day on. Whoever pings says so (`was_pinged`)."""
        if not self._is_older(now, _PING_AFTER_DAYS):
            return False
        return self._pinged_at is None or now - self._pinged_at >= self._days(1)

    def was_pinged(self, now: datetime) -> None:
        self._pinged_at = now

    def is_missed(self, now: datetime) -> bool:
        return self._is_older(now, _ALERT_AFTER_DAYS)

    def unlinked_at(self) -> datetime | None:
        """When WhatsApp unlinks the account, if its phone stays away."""
        return None if self.last_seen_at is None else self.last_seen_at + self._days(_UNLINKED_AFTER_DAYS)

    def _is_older(self, now: datetime, days: float) -> bool:
        return self.last_seen_at is not None and now - self.last_seen_at >= self._days(days)

    def _days(self, days: float) -> timedelta:
        return timedelta(seconds=days * self.day_s)


def parse_phone(account: Mapping[str, object]) -> PhoneRecord:
    at = account.get("phoneLastSeenAt")
    return PhoneRecord(last_seen_at=at if isinstance(at, datetime) else None)
