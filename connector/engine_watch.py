"""Asks the engine, before anything else and from then on, which contract it speaks: whether it may be worked with, and whether it lives."""

import asyncio
from dataclasses import dataclass, field

from connector import log
from connector.backoff import Backoff
from connector.engine import CONTRACT, Engine, EngineFailed

_ASK_PART = 1 / 4
"""Of a call's time (2 s of 8): how long after an answer it is asked again."""
_ANSWER_PART = 3 / 8
"""Of a call's time (3 s of 8): how long an answer is waited for."""
_TRIES = 2
"""Unanswered, one after the other, until the engine is given up. One alone proves nothing: the connector itself may have slept
through its time. So an engine that froze is given up within 8 s, and has two thirds of a lease's TTL to come back in."""
_START_CALLS = 8
"""How many calls' times (64 s) a new engine has for its first answer: it may have to bring its store up to date."""
_ASK_FIRST_S = 0.1


@dataclass(kw_only=True)
class EngineWatch:
    """Keeps `engine.serving` set for as long as the engine answers with this contract's version."""

    engine: Engine
    call_s: float
    _refused: int | None = field(default=None, init=False)
    """Another version that the engine has answered: logged once."""

    async def until_silent(self) -> None:
        """Returns when the engine does not answer any more; one that speaks another version is asked again and again."""
        backoff = Backoff(first_s=_ASK_FIRST_S, max_s=self.call_s)
        spoken, silent = await self._ask(self.call_s * _START_CALLS), 0
        while spoken is not None or silent < _TRIES:
            if spoken is not None:
                silent = 0
                self._heed(spoken)
                await asyncio.sleep(self.call_s * _ASK_PART if spoken == CONTRACT else backoff.next_delay_s())
            spoken = await self._ask(self.call_s * _ANSWER_PART)
            silent += spoken is None
        self.engine.serving.clear()

    async def _ask(self, limit_s: float) -> int | None:
        """The version that the engine speaks; None when it did not answer."""
        try:
            return await self.engine.hello(limit_s)
        except EngineFailed:
            return None

    def _heed(self, spoken: int) -> None:
        if spoken == CONTRACT:
            if not self.engine.serving.is_set():
                log.engine_serves()
            self._refused = None
            self.engine.serving.set()
            return
        self.engine.serving.clear()
        if spoken != self._refused:
            log.engine_contract_refused(spoken, CONTRACT)
        self._refused = spoken
