"""A campaign: portions of a conversation are written, and each time something is killed while they are on their way."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import psutil

from local.chaos.strikes import Strike, Victim
from local.faults.cast import Cast, Inbound, Request
from local.faults.stage import Stage
from local.processes import Child
from local.production.world import World, spawn_worker

_WRITERS = 12
_POINT_LIMIT_S = 3.0
"""An engine that has not come to its point by then is killed where it is."""
_BACK_LIMIT_S = 180.0
_POLL_S = 0.02

Message = Request | Inbound


class CampaignFailed(Exception):
    """What was killed did not come back."""


@dataclass(kw_only=True)
class Campaign:
    world: World
    stage: Stage
    cast: Cast
    strikes: Sequence[Strike]
    plan_file: Path
    """From which an engine that starts reads where it is to kill itself."""
    done: Counter[str] = field(default_factory=Counter, init=False)
    """How often what was killed where."""
    _connector: Child = field(init=False)

    def __post_init__(self) -> None:
        assert self.world.connector is not None
        self._connector = self.world.connector

    def run(self) -> None:
        """Raises CampaignFailed."""
        portions = portions_of(self.cast, len(self.strikes) + 1)
        self._start_an_engine_that_knows_its_point()
        with ThreadPoolExecutor(_WRITERS) as writers:
            for number, strike in enumerate(self.strikes):
                engine = self._await_engine()
                self._plan(self.strikes[number + 1] if number + 1 < len(self.strikes) else None)
                writing = [writers.submit(self._write, group) for group in _by_chat(portions[number])]
                self._strike(strike, engine)
                for written in writing:
                    written.result()
            self._await_engine()
            for group in _by_chat(portions[-1]):
                self._write(group)

    def _start_an_engine_that_knows_its_point(self) -> None:
        """For the first strike. It counts as none itself."""
        self._plan(self.strikes[0] if self.strikes else None)
        self._await_engine().kill()

    def _strike(self, strike: Strike, engine: psutil.Process) -> None:
        match strike.victim:
            case Victim.ENGINE_AT_POINT:
                died = _has_ended(engine, _POINT_LIMIT_S)
                self.done[f"engine at {strike.point}" if died else Victim.ENGINE] += 1
                if not died:
                    engine.kill()
            case Victim.ENGINE:
                time.sleep(strike.delay_s)
                engine.kill()
                self.done[strike.victim] += 1
            case Victim.CONNECTOR:
                time.sleep(strike.delay_s)
                self.world.processes.kill(self._connector)
                self.done[strike.victim] += 1
                self._connector = spawn_worker(self.world.processes, self.world.workers[0])
        _has_ended(engine, _BACK_LIMIT_S)

    def _plan(self, strike: Strike | None) -> None:
        waiting = self.plan_file.with_suffix(".new")
        waiting.write_text(strike.plan if strike is not None else "")
        waiting.replace(self.plan_file)

    def _await_engine(self) -> psutil.Process:
        """The engine, when it has started and an account is connected again. Raises CampaignFailed."""
        deadline = time.monotonic() + _BACK_LIMIT_S
        while time.monotonic() < deadline:
            engine = _engine_of(self._connector)
            if engine is not None and any(state.is_connected for state in self.world.network.accounts().values()):
                return engine
            if not self._connector.is_running:
                raise CampaignFailed(f"the connector ended by itself:\n{self._connector.log_tail()}")
            time.sleep(_POLL_S)
        raise CampaignFailed(f"no engine and session within {_BACK_LIMIT_S:.0f} s:\n{self._connector.log_tail()}")

    def _write(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.stage.write_one(message)


def portions_of(cast: Cast, number: int) -> list[list[Message]]:
    """All of a cast's messages, spread evenly over so many portions, in order within each chat and direction."""
    placed: list[tuple[float, Message]] = []
    for chat in cast.chats:
        conversation: list[Sequence[Message]] = [cast.requests(chat), cast.inbound(chat)]
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


def _engine_of(connector: Child) -> psutil.Process | None:
    try:
        children = psutil.Process(connector.process.pid).children()
    except psutil.NoSuchProcess:
        return None
    return next((child for child in children if _is_alive(child)), None)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _has_ended(process: psutil.Process, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while _is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
