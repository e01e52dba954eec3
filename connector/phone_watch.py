"""Looks after the account's phone: pings one that was not seen for ten days, and warns before WhatsApp unlinks the account."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from connector import log
from connector.contract import engine_pb2 as pb
from connector.engine import Engine, EngineFailed
from connector.telling import Telling
from core.alert_types import Condition
from core.degradation import Cause
from core.phone_sight import PhoneRecord


@dataclass(kw_only=True)
class PhoneWatch:
    engine: Engine
    telling: Telling
    look_s: float
    is_connected: Callable[[], bool]

    @property
    def record(self) -> PhoneRecord:
        return self.telling.account.phone

    def seen(self, event: pb.PhoneSeen) -> None:
        """The phone has said something."""
        self.record.seen(datetime.fromtimestamp(event.at_unix_s, UTC), datetime.now(UTC))

    async def run(self) -> None:
        """Until it is cancelled. Raises TermLost."""
        while True:
            await asyncio.sleep(self.look_s)
            if not self.is_connected():
                continue
            now = datetime.now(UTC)
            if self.record.must_be_pinged(now):
                await self._ping(now)
            is_warned = self.telling.account.degradation.stands(Cause.PHONE_NOT_SEEN)
            if self.record.is_missed(now) and not is_warned:
                await self._warn()
            elif is_warned and not self.record.is_missed(now):
                await self._tell_end()

    async def _ping(self, now: datetime) -> None:
        account = self.telling.account.term.account
        self.record.was_pinged(now)
        try:
            await self.engine.ping_phone(self.telling.account.term)
        except EngineFailed as error:
            log.engine_failed(account, "ping_phone", error)
            return
        log.phone_pinged(account)

    async def _tell_end(self) -> None:
        fields = self.telling.account.degradation.end(Cause.PHONE_NOT_SEEN)
        await self.telling.tell(None, self.record.fields() | fields)
        await self.telling.resolve(Condition.PHONE_NOT_SEEN)

    async def _warn(self) -> None:
        at, until = self.record.last_seen_at, self.record.unlinked_at()
        words = (
            f"the phone was last seen {at:%Y-%m-%d %H:%M}, and WhatsApp unlinks the account {until:%Y-%m-%d %H:%M} UTC"
        )
        fields = self.telling.account.degradation.begin(Cause.PHONE_NOT_SEEN, words)
        await self.telling.tell(None, self.record.fields() | fields)
        await self.telling.alert(Condition.PHONE_NOT_SEEN, words)
