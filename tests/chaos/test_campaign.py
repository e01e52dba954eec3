"""A campaign strikes as often as it was asked to, whoever is met, and writes every message once."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import pytest

from local.chaos.campaign import Campaign, LeftOut, Message
from local.chaos.disturbance import Mend, Victim
from local.chaos.strikes import Strike, draw_legs
from local.faults.cast import Account, Request, make_cast, with_last_words
from local.production.world import Worker
from local.whatsapp import NetworkKind

((STRIKES, SPARES),) = draw_legs(7, 8, NetworkKind.SIMULATED, in_one=250)
CAST = with_last_words(make_cast(7, 0, 8 * 4))


@dataclass(kw_only=True)
class Paper:
    """What was written, in order within each chat and direction: these are written side by side."""

    written: dict[tuple[int, bool], list[int]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write_one(self, message: Message) -> None:
        with self._lock:
            self.written[message.chat.index, isinstance(message, Request)].append(message.place)
            self.count += 1

    def is_connected(self, account: Account) -> bool:
        return account in CAST.accounts


@dataclass(kw_only=True)
class Misses:
    """Strikes that meet nobody: those whose place in the campaign `misses` says so of. Whom a strike met is known when it is over."""

    misses: Callable[[int], bool]
    paper: Paper
    nobody_from: int | None = None
    begun: list[Strike] = field(default_factory=list)
    met: list[Strike] = field(default_factory=list)
    written_before: list[int] = field(default_factory=list)

    @property
    def struck(self) -> int:
        return len(self.met)

    def await_victim(self, strike: Strike) -> Victim | None:
        if len(self.begun) == self.nobody_from:
            return None
        return Victim(account=CAST.accounts[int(strike.place * len(CAST.accounts))], worker=cast(Worker, None))

    def strike(self, strike: Strike, victim: Victim) -> Mend:
        assert victim.account in CAST.accounts
        place = len(self.begun)
        self.begun.append(strike)
        self.written_before.append(self.paper.count)

        def mend() -> None:
            if not self.misses(place):
                self.met.append(strike)

        return mend


def campaign(misses: Callable[[int], bool], nobody_from: int | None = None) -> tuple[LeftOut | None, Misses, int]:
    """What it ended with, whom it struck, and how often it told of that. All is written, whatever was met."""
    paper, told = Paper(), list[int]()
    disturbance = Misses(misses=misses, paper=paper, nobody_from=nobody_from)
    ended = Campaign(
        stage=paper,
        cast=CAST,
        strikes=STRIKES,
        spares=SPARES,
        disturbance=disturbance,
        told=lambda: told.append(disturbance.struck),
    ).run()
    assert told == list(range(1, disturbance.struck + 1))
    assert paper.written == _all_in_order()
    return ended, disturbance, len(told)


def _all_in_order() -> dict[tuple[int, bool], Sequence[int]]:
    ways = {(chat.index, True): chat.requests for chat in CAST.chats}
    ways |= {(chat.index, False): chat.inbound for chat in CAST.chats}
    return {way: list(range(count)) for way, count in ways.items()}


@pytest.mark.parametrize("missing", [(), (0,), (3, 4, 9), tuple(range(7, 7 + len(SPARES)))])
def test_each_strike_that_meets_nobody_is_followed_by_a_further_one(missing: Collection[int]) -> None:
    ended, disturbance, told = campaign(missing.__contains__)
    assert (ended, told) == (None, len(STRIKES))
    assert disturbance.met == [strike for strike in disturbance.begun if strike in disturbance.met], "in their order"
    assert [strike for strike in disturbance.begun if strike in STRIKES] == STRIKES
    assert [strike for strike in disturbance.begun if strike not in STRIKES] == SPARES[: len(missing)]


def test_the_further_one_comes_at_once_and_meets_messages_too() -> None:
    """Also where it is the last strike that meets nobody, again and again."""
    _, disturbance, _ = campaign(lambda place: place in (2, 8, 9))
    assert disturbance.begun[3] == SPARES[0]
    assert disturbance.begun[8:] == [STRIKES[7], SPARES[1], SPARES[2]]
    assert all(less < more for less, more in pairwise(disturbance.written_before))


def test_a_world_in_which_nothing_can_be_struck_ends() -> None:
    ended, disturbance, told = campaign(lambda _: True)
    assert (ended, told) == (LeftOut.NOBODY_MET, 0)
    assert disturbance.begun == [STRIKES[0], *SPARES]


def test_where_nobody_is_at_work_any_more_the_strikes_that_are_left_are_left_out() -> None:
    ended, _, told = campaign(lambda _: False, nobody_from=3)
    assert (ended, told) == (LeftOut.NOBODY_AT_WORK, 3)
