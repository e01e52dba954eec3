"""One account's pace: who sends next, replies ahead of cold messages, and who is told to come again later."""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

_JITTER = 0.4
"""Of a token's cost, up and down: a steady beat is a machine's."""
_FORGET_S = 60.0
"""A turn that was promised is kept free no longer, where nobody comes for it."""

Draw = Callable[[float, float], float]


@dataclass(kw_only=True)
class TokenBucket:
    """`rate_s` tokens a second, at most `burst` at once. Its caller says what time it is, in seconds on any clock."""

    rate_s: float
    burst: float
    draw: Draw = random.uniform
    _tokens: float | None = field(default=None, init=False)
    """None before the first look: full."""
    _at_s: float = field(default=0.0, init=False)

    def wait_s(self, now_s: float) -> float:
        """How long until there is a token; 0: there is one."""
        return max(0.0, 1.0 - self._fill(now_s)) / self.rate_s

    def take(self, now_s: float) -> None:
        """One token, which costs a little more or less: on average one."""
        self._tokens = self._fill(now_s) - self.draw(1 - _JITTER, 1 + _JITTER)

    def _fill(self, now_s: float) -> float:
        if self._tokens is None:
            self._tokens = self.burst
        else:
            self._tokens = min(self.burst, self._tokens + max(0.0, now_s - self._at_s) * self.rate_s)
        self._at_s = now_s
        return self._tokens


@dataclass(frozen=True, kw_only=True)
class _Promise:
    at_s: float
    is_cold: bool


@dataclass(kw_only=True)
class Queue:
    """Who waits for a token, without a clock of its own. A chat has one message here at a time, so turns go from chat to chat.

    Who would wait for longer than `hold_s` is promised a later turn instead. Until it is taken up, that turn counts as taken:
    chats that send without a pause cannot take it from one that was told to come again.
    """

    bucket: TokenBucket
    hold_s: float
    _promises: dict[str, _Promise] = field(default_factory=dict, init=False)

    def asked(self, chat: str, *, is_cold: bool, waiting: int, now_s: float) -> float | None:
        """None: it may wait for its turn here, behind the `waiting`. Else how long it is to stay away."""
        self._promises = {each: kept for each, kept in self._promises.items() if now_s < kept.at_s + _FORGET_S}
        promised = self._promises.pop(chat, None)
        is_due = promised is not None and promised.at_s <= now_s + self.hold_s
        ahead = waiting if is_due else waiting + self._promised_ahead(is_cold=is_cold)
        expected_s = self.bucket.wait_s(now_s) + ahead / self.bucket.rate_s
        if expected_s <= self.hold_s:
            return None
        self._promises[chat] = _Promise(at_s=now_s + expected_s, is_cold=is_cold)
        return expected_s

    def missed(self, chat: str, *, is_cold: bool, now_s: float) -> float:
        """It waited in vain: others went ahead. How long it is to stay away."""
        away_s = self.bucket.wait_s(now_s) + (1 + self._promised_ahead(is_cold=False)) / self.bucket.rate_s
        self._promises[chat] = _Promise(at_s=now_s + away_s, is_cold=is_cold)
        return away_s

    def _promised_ahead(self, *, is_cold: bool) -> int:
        return sum(is_cold or not each.is_cold for each in self._promises.values())


class Closed(Exception):
    """The account is being handed over."""


@dataclass(kw_only=True)
class Pacing:
    """Gives turns by the loop's clock."""

    queue: Queue
    _waiting: list[tuple[bool, int, asyncio.Future[None]]] = field(default_factory=list, init=False)
    """Replies first, each in the order in which they came."""
    _count: int = field(default=0, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    async def turn(self, chat: str, *, is_cold: bool) -> float | None:
        """None: it is this message's turn now. Else the seconds after which it should be tried again. Raises Closed."""
        if self._closed:
            raise Closed
        waiting = sum(is_cold or not cold for cold, _, turn in self._waiting if not turn.done())
        away_s = self.queue.asked(chat, is_cold=is_cold, waiting=waiting, now_s=_now_s())
        if away_s is not None:
            return away_s
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (is_cold, self._count, turn))
        self._give()
        try:
            async with asyncio.timeout(self.queue.hold_s * 1.5):  # a turn comes a little late: a token's cost varies
                await turn
        except TimeoutError:
            return self.queue.missed(chat, is_cold=is_cold, now_s=_now_s())
        return None

    def close(self) -> None:
        """Nobody waits here any more."""
        self._closed = True
        for _, _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(Closed())
        self._waiting.clear()

    def _give(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            if self._waiting[0][2].done():
                heapq.heappop(self._waiting)
                continue
            wait_s = self.queue.bucket.wait_s(_now_s())
            if wait_s > 0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._give)
                return
            self.queue.bucket.take(_now_s())
            heapq.heappop(self._waiting)[2].set_result(None)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
