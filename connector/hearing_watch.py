"""Looks after what a connected session hears: asks one that is strangely silent, opens it anew, and tells of it until something is heard."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.cloud.firestore import Increment

from connector import log, metrics
from connector.engine import Engine, EngineFailed, EngineRefused
from connector.silence import Silence, Step
from connector.telling import Telling
from core.account import Status
from core.alert_types import Condition
from core.degradation import Cause

_TRIES = 2
"""An answer that does not come may be late once."""


@dataclass(kw_only=True)
class HearingWatch:
    silence: Silence
    engine: Engine
    telling: Telling
    look_s: float
    is_connected: Callable[[], bool]
    _heard: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def heard(self) -> None:
        """A message or a receipt has come."""
        now = datetime.now(UTC)
        if self.silence.heard(now) or self.telling.account.degradation.stands(Cause.DEAF):
            self._heard.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises TermLost."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.look_s):
                    await self._heard.wait()
            if self._heard.is_set():
                self._heard.clear()
                await self._tell_end()
            match self.silence.look(datetime.now(UTC), is_connected=self.is_connected()):
                case Step.PROBE:
                    await self._probe()
                case Step.RESET:
                    await self._reset()
                case Step.NONE:
                    pass

    async def _probe(self) -> None:
        account = self.telling.account.term.account
        if await self._is_answered():
            self.silence.answered()
            log.silence_probed(account, self._silent_min(), answered=True)
        else:
            self.silence.unanswered()
            log.silence_probed(account, self._silent_min(), answered=False)
            await self._reset()

    async def _reset(self) -> None:
        """Told first: what comes because of it ends the alert."""
        account, minutes = self.telling.account.term.account, self._silent_min()
        words = (
            f"nothing was heard for {minutes} minutes, in which something usually is, and the session was opened anew"
        )
        self.silence.was_reset(datetime.now(UTC))
        log.session_deaf(account, minutes, self.silence.resets_in_vain)
        metrics.DEAF_RESETS.inc()
        fields = self.telling.account.degradation.begin(Cause.DEAF, words)
        fields |= {"disconnectReason": str(Condition.DEAF), "reconnectCount": Increment(1)}
        await self.telling.tell(Status.RECONNECTING, fields)
        await self.telling.alert(Condition.DEAF, words)
        try:
            await self.engine.close(self.telling.account.term)  # its stream ends, upon which the session is opened
        except EngineFailed as error:
            log.engine_failed(account, "close", error)

    async def _tell_end(self) -> None:
        log.session_hears(self.telling.account.term.account)
        await self.telling.tell(None, self.telling.account.degradation.end(Cause.DEAF))
        await self.telling.resolve(Condition.DEAF)

    async def _is_answered(self) -> bool:
        """Whether WhatsApp answers a question that costs nobody anything: whether the account's own number is registered."""
        phone = self.telling.account.phone_e164
        for _ in range(_TRIES):
            try:
                if phone is not None:
                    await self.engine.is_on_whatsapp(self.telling.account.term, phone)
            except EngineRefused:
                return True  # not connected by now: its own story
            except EngineFailed:
                continue
            return True
        return False

    def _silent_min(self) -> int:
        return round(self.silence.lasted.total_seconds() / 60)
