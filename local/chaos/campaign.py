"""A campaign: portions of a conversation are written, and something is struck each time while they are on their way."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Protocol

from local.chaos.disturbance import Mend, Victim
from local.chaos.strikes import Strike
from local.faults.cast import Account, Cast, Inbound, Request

_WRITERS = 12
_ALL_BACK_S = 180.0
_POLL_S = 0.2
_KEPT_BACK = 1 / 25
"""A portion in so many is for further strikes, in place of those that meet nobody; and one more."""

Message = Request | Inbound


class LeftOut(StrEnum):
    """Why not so much was struck as was asked for."""

    NOBODY_AT_WORK = "none was connected any more, and the strikes that were left were left out"
    NOBODY_MET = "too many strikes met nobody, and those that were left were left out"


class Writing(Protocol):
    """A Stage."""

    def write_one(self, message: Message) -> None: ...

    def is_connected(self, account: Account) -> bool: ...


class Striking(Protocol):
    """A Disturbance."""

    @property
    def struck(self) -> int: ...

    def await_victim(self, strike: Strike) -> Victim | None: ...

    def strike(self, strike: Strike, victim: Victim) -> Mend: ...


@dataclass(frozen=True, kw_only=True)
class Campaign:
    stage: Writing
    cast: Cast
    strikes: Sequence[Strike]
    spares: Sequence[Strike]
    """One of them follows on each strike that meets nobody."""
    disturbance: Striking
    told: Callable[[], None]
    """Called after each strike that met somebody."""

    def run(self) -> LeftOut | None:
        """Each strike meets messages on their way, and more are written before what was struck is let go.

        Where strikes are left out, all is written nevertheless, to be judged.
        """
        left = in_their_turn(self.cast)
        with ThreadPoolExecutor(_WRITERS) as writers:

            def begin(messages: Sequence[Message]) -> list[Future[None]]:
                return [writers.submit(self._write, group) for group in _by_chat(messages)]

            left_out = self._strike_all(left, begin)
            _end(begin(left))
            self._await_all()
            _end(begin(last_words(self.cast)))
        return left_out

    def _strike_all(
        self, left: list[Message], begin: Callable[[Sequence[Message]], list[Future[None]]]
    ) -> LeftOut | None:
        """Takes what is written meanwhile out of `left`."""
        strikes, spares = deque(self.strikes), deque(self.spares)
        while strikes:
            victim = self.disturbance.await_victim(strikes[0])
            if victim is None:
                return LeftOut.NOBODY_AT_WORK
            portion = take_portion(left, len(strikes), len(self.strikes))
            strike, struck_before = strikes.popleft(), self.disturbance.struck
            half = len(portion) // 2
            writing = begin(portion[:half])
            mend = self.disturbance.strike(strike, victim)
            _end(writing)
            writing = begin(portion[half:])
            mend()
            _end(writing)
            if self.disturbance.struck > struck_before:
                self.told()
            elif spares:
                strikes.appendleft(spares.popleft())
            else:
                return LeftOut.NOBODY_MET
        return None

    def _await_all(self) -> None:
        """Those that do not come back are the judge's."""
        deadline = time.monotonic() + _ALL_BACK_S
        while not all(map(self.stage.is_connected, self.cast.accounts)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _write(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.stage.write_one(message)


def last_words(cast: Cast) -> list[Message]:
    """What is written when the last fault is over: in every chat, one message each way."""
    return [message for chat in cast.chats for message in (cast.requests(chat)[-1], cast.inbound(chat)[-1])]


def in_their_turn(cast: Cast) -> list[Message]:
    """All but the last words, evenly mixed, in order within each chat and direction."""
    placed: list[tuple[float, Message]] = []
    for chat in cast.chats:
        conversation: list[Sequence[Message]] = [cast.requests(chat)[:-1], cast.inbound(chat)[:-1]]
        for messages in conversation:
            placed += [(place / len(messages), message) for place, message in enumerate(messages)]
    placed.sort(key=lambda each: each[0])  # stable: equal places keep the order of chats
    return [message for _, message in placed]


def take_portion(left: list[Message], strikes: int, of: int) -> list[Message]:
    """Takes the next strike's portion out of what is left to write for so many `strikes` of a campaign `of` so many.

    However often it is asked for the same strikes, something is left for the next, as long as there are messages enough.
    """
    portion = left[: -(-len(left) // (strikes + 1 + int(of * _KEPT_BACK)))]
    del left[: len(portion)]
    return portion


def _by_chat(portion: Sequence[Message]) -> list[list[Message]]:
    def way(message: Message) -> tuple[int, bool]:
        return message.chat.index, isinstance(message, Request)

    return [list(group) for _, group in groupby(sorted(portion, key=way), key=way)]


def _end(writing: Sequence[Future[None]]) -> None:
    for written in writing:
        written.result()
