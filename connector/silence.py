"""Whether a connected session that hears nothing is quiet or deaf, and what is to be done about it: without I/O and without a clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from connector.hearing import HourUnderWay, Pattern, parse_pattern

LEAST_SLOTS = 8.0
"""No session is taken for deaf that has missed fewer slots in which something would usually have been heard."""
_MARGIN = 1.5
"""How much more than in the longest silence that ended by itself a deaf session has missed. Conversations come in clusters and days
differ, for each account in its own way: that silence knows it, and no formula."""
_MOST_SLOTS = 30.0
"""However long a silence was that ended by itself, such as a holiday: what has missed more is deaf."""
_KEPT_AN_HOUR = 0.85 ** (1 / 168)
"""Of the longest silence: it is forgotten by and by, 15 % a week."""
_CURED_WITHIN = timedelta(minutes=10)
"""Something that comes so soon after a reset came because of it: that silence did not end by itself."""
_PROBE_PART = 0.5
"""Of what makes it deaf: from there on it is asked whether it is connected to anybody."""
_RESETS_A_DAY = 2
_LONGEST_STEP = timedelta(minutes=10)
"""A longer time between two looks was slept through: nobody knows whether something came."""
_DAY = timedelta(days=1)


class Step(StrEnum):
    NONE = "none"
    PROBE = "probe"
    """Ask for anything that WhatsApp must answer; `unanswered` or `answered` says what came of it."""
    RESET = "reset"


@dataclass(kw_only=True)
class Silence:
    """Of one account, over changes of its owner. Time counts while the session is connected."""

    least: timedelta
    """No shorter silence says anything."""
    pattern: Pattern = field(default_factory=Pattern)
    lasted: timedelta = timedelta()
    missed: float = 0.0
    """Slots in which something would usually have been heard, since something was."""
    longest: float = 0.0
    """The most that was missed in a silence that ended by itself."""
    resets_in_vain: int = 0
    """Since something was heard."""
    reset_at: list[datetime] = field(default_factory=list)
    """The last resets, whatever came of them."""
    _was_probed: bool = False
    _has_no_answer: bool = False
    _looked_at: datetime | None = None
    _hour: HourUnderWay | None = None
    _is_stored: bool = True

    @property
    def is_deaf(self) -> bool:
        return self.resets_in_vain > 0

    def heard(self, at: datetime) -> bool:
        """Something came. True where the session was taken for deaf until now."""
        was_deaf = self.is_deaf
        self._this_hour(at).heard(at)
        if not (was_deaf and at - self.reset_at[-1] < _CURED_WITHIN):
            self.longest = max(self.longest, min(self.missed, _MOST_SLOTS / _MARGIN))
        self.lasted, self.missed, self.resets_in_vain = timedelta(), 0.0, 0
        self._was_probed = self._has_no_answer = False
        self._is_stored = self._is_stored and not was_deaf
        return was_deaf

    def look(self, at: datetime, *, is_connected: bool) -> Step:
        """Called more often than a slot lasts. After RESET and PROBE, what was done is to be told."""
        hour, before = self._this_hour(at), self._looked_at
        self._looked_at = at if is_connected else None
        if not is_connected:
            return Step.NONE
        hour.connected(at)
        if before is not None and timedelta() < at - before <= _LONGEST_STEP:
            self.lasted += at - before
            self.missed += self.pattern.usual(at) * ((at - before) / timedelta(hours=1))
        return self._step(at)

    def answered(self) -> None:
        self._was_probed = True

    def unanswered(self) -> None:
        self._was_probed = self._has_no_answer = True

    def was_reset(self, at: datetime) -> None:
        self.resets_in_vain += 1
        self.reset_at = [*self._of_today(at), at]
        self._has_no_answer = False
        self._is_stored = False

    def _step(self, at: datetime) -> Step:
        enough = max(LEAST_SLOTS, self.longest * _MARGIN)
        if self.lasted < self.least or self.missed < enough * _PROBE_PART or not self.pattern.is_known():
            return Step.NONE
        if len(self._of_today(at)) >= _RESETS_A_DAY:
            return Step.NONE
        # Each reset that changed nothing makes it likelier that there is nothing to hear: the next takes twice the silence.
        if self.missed >= enough * 2**self.resets_in_vain or self._has_no_answer:
            return Step.RESET
        return Step.NONE if self._was_probed else Step.PROBE

    def _of_today(self, at: datetime) -> list[datetime]:
        return [reset for reset in self.reset_at if at - reset < _DAY]

    def _this_hour(self, at: datetime) -> HourUnderWay:
        if self._hour is not None and self._hour.has_passed(at):
            self._hour.teach(self.pattern)
            self.longest *= _KEPT_AN_HOUR
            self._hour = None
            self._is_stored = False
        if self._hour is None:
            self._hour = HourUnderWay.of(at)
        return self._hour

    # The lease's `hearing`

    def take_unstored(self, at: datetime) -> dict[str, object]:
        """The lease's fields that are to be written, taken for written from now on: once an hour, with each reset and its end."""
        fields: dict[str, object] = {} if self._is_stored else {"hearing": self.stored(at)}
        self._is_stored = True
        return fields

    def put_back(self, fields: Mapping[str, object]) -> None:
        """They were not written."""
        self._is_stored = self._is_stored and not fields

    def stored(self, at: datetime) -> dict[str, object]:
        return {
            "at": at,
            **self.pattern.stored(),
            "lastedS": round(self.lasted.total_seconds()),
            "missed": round(self.missed, 3),
            "longest": round(self.longest, 3),
            "resetsInVain": self.resets_in_vain,
            "resetAt": list(self.reset_at),
        }


def parse_silence(document: object, least: timedelta, last_synced_at: object) -> Silence:
    """As the owner before stored it. A row that came after it was stored (the account's lastSyncedAt) has ended that silence."""
    found: Mapping[str, object] = document if isinstance(document, dict) else {}
    silence = Silence(least=least, pattern=parse_pattern(document))
    stored_at = found.get("at")
    has_heard_since = (
        isinstance(stored_at, datetime) and isinstance(last_synced_at, datetime) and last_synced_at > stored_at
    )
    resets = found.get("resetAt")
    silence.reset_at = [at for at in resets if isinstance(at, datetime)] if isinstance(resets, list) else []
    silence.longest = _number(found.get("longest"))
    silence.resets_in_vain = int(_number(found.get("resetsInVain")))
    if not has_heard_since:
        silence.lasted = timedelta(seconds=_number(found.get("lastedS")))
        silence.missed = _number(found.get("missed"))
    return silence


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(0.0, float(value)), 1e9) if is_number else 0.0  # type: ignore[arg-type]  # is_number says so
