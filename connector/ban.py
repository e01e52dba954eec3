"""A ban for a time that WhatsApp has said: nothing is tried until it is over, then the session is opened again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connector.accounts import AccountDocument


@dataclass(kw_only=True)
class Ban:
    account: AccountDocument
    try_again: Callable[[], Awaitable[None]]
    """Opens a session that had ended; does nothing where somebody was faster."""
    spread_s: float
    """It is tried at a moment of this time after the end, so that accounts do not come back together."""
    _begun: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def begin(self, ends_at_unix_s: int) -> dict[str, object]:
        """The account's fields. 0: WhatsApp does not say when it ends, so a person has to."""
        fields = self.account.pacing.ban(ends_at_unix_s)
        self._begun.set()
        return fields

    async def run(self) -> None:
        """Until it is cancelled; also for a ban that the owner before was told of."""
        while True:
            until = self.account.pacing.banned_until
            self._begun.clear()
            if until is None:
                await self._begun.wait()
                continue
            left_s = max(0.0, (until - datetime.now(UTC)).total_seconds())
            await asyncio.sleep(left_s + random.uniform(0.1, 1.0) * self.spread_s)  # noqa: S311 - spreading, not a secret
            if self.account.pacing.banned_until == until:
                await self.try_again()
                await self._begun.wait()
