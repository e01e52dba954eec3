"""What one account's sends pass before they go to the engine: the lock after a refusal, the day's cold messages, the turn."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connector.accounts import AccountDocument
from connector.pacing import Pacing, Queue, TokenBucket
from connector.session import Session
from connector.term import TermLost
from core.ids import ChatId
from core.outbox import Outcome
from core.pacing import Hold, PacingRecord, next_day
from core.timing import Timing

_TIME_LOCK = "463"
_LEFT_NOTHING = frozenset({Outcome.NOT_SENT, Outcome.NOT_CONNECTED, Outcome.EXPIRED})


@dataclass(frozen=True, kw_only=True)
class Held:
    """A message that waits, and until when."""

    why: Hold
    until: datetime


@dataclass(kw_only=True)
class Gate:
    session: Session
    timing: Timing
    paces: bool
    """Off, it heeds only what WhatsApp itself has refused."""
    _pacing: Pacing = field(init=False)
    _noting: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _tells: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        bucket = TokenBucket(rate_s=1.0, burst=1.0)
        self._pacing = Pacing(queue=Queue(bucket=bucket, hold_s=self.timing.pacing_hold_s))
        self._set_rate()

    @property
    def _account(self) -> AccountDocument:
        return self.session.account

    @property
    def _record(self) -> PacingRecord:
        return self._account.pacing

    async def enter(self, chat: ChatId, *, is_reply: bool | None) -> Held | None:
        """None: it may leave now. Raises Closed and TermLost."""
        is_cold = is_reply is False
        now = datetime.now(UTC)
        if is_cold and self._record.locked_until is not None and self._record.is_locked(now):
            return Held(why=Hold.COLD_LOCKED, until=self._record.locked_until)
        if not self.paces:
            return None
        self._set_rate()
        if is_cold and not self._record.spend(now):
            return Held(why=Hold.COLD_LIMIT, until=next_day(now))
        away_s = None
        try:
            away_s = await self._pacing.turn(chat, is_cold=is_cold)
        finally:
            if is_cold and away_s is not None:
                self._record.give_back()
        if away_s is not None:
            return Held(why=Hold.PACED, until=now + timedelta(seconds=away_s))
        if is_cold:
            await self._note()
        return None

    def ended(self, outcome: Outcome, reason: str, *, is_reply: bool | None) -> datetime | None:
        """How a send ended that had entered. Where WhatsApp refuses cold messages: until when it is not to be tried again. What
        was refused was not delivered, and goes out under the same id later."""
        if self.paces and is_reply is False and outcome in _LEFT_NOTHING:
            self._record.give_back()
        if outcome is not Outcome.REJECTED or reason != _TIME_LOCK:
            return None
        until = self._record.refused(datetime.now(UTC), timedelta(seconds=self.timing.cold_lock_s))
        # Beside: the answer must not wait for Firestore. Should this process die first, the next owner is refused once more.
        tell = asyncio.create_task(self._tell())
        self._tells.add(tell)
        tell.add_done_callback(self._tells.discard)
        return until

    def close(self) -> None:
        self._pacing.close()

    async def _tell(self) -> None:
        with suppress(TermLost):
            await self.session.cold_lock_changed()

    async def _note(self) -> None:
        """The day's count stands in the account's document before the message leaves: a new owner must know of it."""
        async with self._noting:
            if self._record.must_be_noted():
                fields, count = self._record.noted_ahead(datetime.now(UTC))
                await self._account.write(fields)
                self._record.note(count)

    def _set_rate(self) -> None:
        """A super-admin may have changed the limits."""
        bucket, limits = self._pacing.queue.bucket, self._record.limits
        bucket.rate_s = limits.sends_per_minute / 60 / self._scale
        bucket.burst = float(limits.send_burst)

    @property
    def _scale(self) -> float:
        """A day is a day in tests, too; but what is said in a minute is said in its part of one."""
        return self.timing.pacing_hold_s / Timing().pacing_hold_s
