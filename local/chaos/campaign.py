"""A campaign: portions of a conversation are written, and something is struck each time while they are on their way."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from local.chaos.disturbance import Disturbance
from local.chaos.strikes import Strike
from local.faults.cast import Cast, Inbound, Request
from local.faults.stage import Stage

_WRITERS = 12
_ALL_BACK_S = 180.0
_POLL_S = 0.2

Message = Request | Inbound


@dataclass(frozen=True, kw_only=True)
class Campaign:
    stage: Stage
    cast: Cast
    strikes: Sequence[Strike]
    disturbance: Disturbance
    told: Callable[[Strike], None]
    """Called after each strike."""

    def run(self) -> bool:
        """Each strike meets messages on their way, and more are written before what was struck is let go.

        False: nobody was at work any more, so that the last strikes were left out. All is written nevertheless, to be judged.
        """
        portions = portions_of(self.cast, len(self.strikes))
        with ThreadPoolExecutor(_WRITERS) as writers:

            def begin(messages: Sequence[Message]) -> list[Future[None]]:
                return [writers.submit(self._write, group) for group in _by_chat(messages)]

            for strike in self.strikes:
                victim = self.disturbance.await_victim(strike)
                if victim is None:
                    break
                portion = portions.pop(0)
                half = len(portion) // 2
                writing = begin(portion[:half])
                mend = self.disturbance.strike(strike, victim)
                _end(writing)
                writing = begin(portion[half:])
                mend()
                _end(writing)
                self.told(strike)
            _end(begin([message for portion in portions for message in portion]))
            self._await_all()
            _end(begin(last_words(self.cast)))
        return not portions

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


def portions_of(cast: Cast, number: int) -> list[list[Message]]:
    """All but the last words, spread evenly over so many portions, in order within each chat and direction."""
    placed: list[tuple[float, Message]] = []
    for chat in cast.chats:
        conversation: list[Sequence[Message]] = [cast.requests(chat)[:-1], cast.inbound(chat)[:-1]]
        for messages in conversation:
            placed += [(place / len(messages), message) for place, message in enumerate(messages)]
    placed.sort(key=lambda each: each[0])  # stable: equal places keep the order of chats
    portions: list[list[Message]] = [[] for _ in range(number)]
    for place, message in placed:
        portions[min(number - 1, int(place * number))].append(message)
    return portions


def _by_chat(portion: Sequence[Message]) -> list[list[Message]]:
    def way(message: Message) -> tuple[int, bool]:
        return message.chat.index, isinstance(message, Request)

    return [list(group) for _, group in groupby(sorted(portion, key=way), key=way)]


def _end(writing: Sequence[Future[None]]) -> None:
    for written in writing:
        written.result()
