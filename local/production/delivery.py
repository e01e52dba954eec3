"""Delivers events and tasks to functions, with the faults of the plan that stands: one way for both."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from local.production.faults import NO_FAULTS, FaultKind, FaultPlan
from local.production.instances import Answer, Headers, Instance, Service

_UNREACHED = Answer(status=503)
_UNKNOWN = Answer(status=504)


@dataclass(frozen=True, kw_only=True)
class Call:
    """An event or task on its way. `document` is what it is about; a task's is its name."""

    function: str
    document: str
    path: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The longest that a fault lasts, in seconds."""

    late_s: float
    killed_after_s: float = 0.06
    """A function's work takes some tens of milliseconds: the kill must meet it."""


class Delivery:
    def __init__(self, services: Mapping[str, Service], session: aiohttp.ClientSession, lengths: Lengths) -> None:
        self.plan: FaultPlan = NO_FAULTS
        self.counters: Counter[str] = Counter()
        self._services = services
        self._session = session
        self._lengths = lengths
        self._held: dict[str, asyncio.Event] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """What was taken on and is not over."""
        return len(self._background)

    def is_function(self, name: str) -> bool:
        return name in self._services

    def begin(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(_awaited(work))
        self._background.add(task)
        task.add_done_callback(self._ended)

    async def hand_over(self, call: Call, deliver: Callable[[Call], Awaitable[object]]) -> bool:
        """What happens before the first try; `deliver` is what a second delivery does. False: it is lost."""
        if self._strikes(FaultKind.NEVER, call):
            return False
        if self._strikes(FaultKind.TWICE, call):
            self.begin(self._again(call, deliver))
        if self._strikes(FaultKind.LATE, call):
            await asyncio.sleep(self._late_s(FaultKind.LATE, call))
        await self._take_turn(call)
        return True

    async def attempt(self, call: Call, attempt: int) -> Answer:
        """One try to have the function do its work."""
        if attempt == 0 and self._strikes(FaultKind.REFUSED, call):
            return _UNREACHED
        instance = self._services[call.function].choose()
        if self._strikes(FaultKind.KILLED, call, attempt):
            after_s = self.plan.amount(FaultKind.KILLED, call.function, call.document, attempt)
            self.begin(self._kill(instance, after_s * self._lengths.killed_after_s))
        self.counters[f"invoked_{call.function}"] += 1
        answer = await instance.post(self._session, call.path, call.headers, call.body)
        self.counters[f"answered_{call.function}_{answer.status}"] += 1
        if answer.is_success and self._strikes(FaultKind.ANSWER_LOST, call, attempt):
            return _UNKNOWN
        return _UNKNOWN if answer.status == 0 else answer

    async def post(self, call: Call) -> Answer:
        """A call that meets no faults of its own."""
        self.counters[f"invoked_{call.function}"] += 1
        answer = await self._services[call.function].choose().post(self._session, call.path, call.headers, call.body)
        self.counters[f"answered_{call.function}_{answer.status}"] += 1
        return _UNKNOWN if answer.status == 0 else answer

    def kill(self, function: str) -> int:
        """How many instances were up, and are killed."""
        killed = sum(instance.kill(instance.pid) for instance in self._services[function].instances)
        self.counters[f"killed_{function}"] += killed
        return killed

    def kill_caller(self, port: int) -> str:
        """Kills the instance that a connection from this port is of. Returns its function; empty where there is no such instance."""
        for name, service in self._services.items():
            for instance in service.instances:
                if instance.is_up.is_set() and instance.has_connection_from(port) and instance.kill(instance.pid):
                    self.counters[f"killed_{name}"] += 1
                    return name
        return ""

    def _strikes(self, kind: FaultKind, call: Call, attempt: int = 0) -> bool:
        struck = self.plan.strikes(kind, call.function, call.document, attempt)
        self.counters[f"fault_{kind}"] += struck
        return struck

    def _late_s(self, kind: FaultKind, call: Call) -> float:
        return self.plan.amount(kind, call.function, call.document) * self._lengths.late_s

    async def _again(self, call: Call, deliver: Callable[[Call], Awaitable[object]]) -> None:
        await asyncio.sleep(self._late_s(FaultKind.TWICE, call))
        await deliver(call)

    async def _take_turn(self, call: Call) -> None:
        """Lets a held one go behind this one; or waits for the next one, if this is to be overtaken."""
        overtaken = self._held.pop(call.function, None)
        if overtaken is not None:
            asyncio.get_running_loop().call_later(self._lengths.killed_after_s, overtaken.set)
        if self._strikes(FaultKind.OUT_OF_ORDER, call):
            turn = self._held[call.function] = asyncio.Event()
            try:
                async with asyncio.timeout(self._lengths.late_s):
                    await turn.wait()
            except TimeoutError:
                return  # nothing came after it

    async def _kill(self, instance: Instance, after_s: float) -> None:
        pid = instance.pid
        await asyncio.sleep(after_s)
        self.counters[f"killed_{instance.function.name}"] += instance.kill(pid)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.result()


async def _awaited(work: Awaitable[object]) -> None:
    await work
