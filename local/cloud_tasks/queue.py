"""A queue: takes tasks under names that are used once, and dispatches them until they succeed or are given up."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from local.cloud_tasks.settings import QueueSettings
from local.cloud_tasks.trouble import Trouble, TroubleKind
from local.issued_tokens import IssuedTokens

NAME_RESERVED_S = 3600.0
"""How long a name stays taken after its task has ended, as in production."""
_BURST_S = 0.2
"""Dispatches that were not made for this long may be made up for at once."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whose identity token a task carries (`oidc_token`)."""

    service_account: str
    audience: str


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task as it was created. `schedule_at` is in seconds since 1970; `message` is the protobuf message, filled in."""

    name: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    schedule_at: float
    deadline_s: float
    caller: Caller | None
    message: Any

    @property
    def short_name(self) -> str:
        return self.name.rsplit("/", 1)[1]


@dataclass(eq=False, kw_only=True)
class Task:
    """A task that has not ended, with its deliveries under way (more than one where it was duplicated)."""

    spec: TaskSpec
    released: asyncio.Event = field(default_factory=asyncio.Event)
    runs: list[asyncio.Task[None]] = field(default_factory=list)


class Queue:
    def __init__(
        self,
        settings: QueueSettings,
        trouble: Trouble,
        session: aiohttp.ClientSession,
        tokens: IssuedTokens | None = None,
    ) -> None:
        self.settings = settings
        self.tasks: dict[str, Task] = {}
        """Those that have not ended, by their full name."""
        self._trouble = trouble
        self._session = session
        self._tokens = tokens
        self._reserved_until: dict[str, float] = {}
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._next_dispatch = 0.0
        self._running = asyncio.Event()
        self._running.set()

    def count(self, what: str) -> None:
        self._trouble.counters[what] += 1

    def is_name_taken(self, name: str) -> bool:
        now = time.monotonic()
        self._reserved_until = {known: until for known, until in self._reserved_until.items() if until > now}
        return name in self.tasks or name in self._reserved_until

    def add(self, spec: TaskSpec) -> None:
        """Takes a task whose name is free."""
        task = Task(spec=spec)
        trouble = self._trouble.take()
        self.count("created")
        if trouble is not None:
            self.count(f"trouble_{trouble}")
        if trouble is TroubleKind.LOSE:
            self._reserve(spec.name)
            return
        if trouble is not TroubleKind.HOLD:
            task.released.set()
        self.tasks[spec.name] = task
        for _ in range(2 if trouble is TroubleKind.DUPLICATE else 1):
            run = asyncio.create_task(self._run(task))
            task.runs.append(run)
            run.add_done_callback(partial(self._ended, task))

    def delete(self, name: str) -> None:
        for run in self.tasks[name].runs:
            run.cancel()

    def release(self) -> int:
        """Lets the tasks go that were held. Returns how many."""
        held = [task for task in self.tasks.values() if not task.released.is_set()]
        for task in held:
            task.released.set()
        return len(held)

    def pause(self) -> None:
        """Takes tasks, and dispatches none."""
        self._running.clear()

    def resume(self) -> None:
        self._running.set()

    def reset(self) -> None:
        """Forgets tasks and names; a paused queue goes on."""
        self.resume()
        for task in self.tasks.values():
            for run in task.runs:
                run.cancel()
        self.tasks = {}
        self._reserved_until = {}

    async def _run(self, task: Task) -> None:
        """One delivery of a task, with its retries."""
        await task.released.wait()
        eta, first_at = task.spec.schedule_at, None
        attempts, responses, previous = 0, 0, None
        while True:
            await asyncio.sleep(max(0.0, eta - time.time()))
            await self._running.wait()
            async with self._slots:
                await self._pace()
                first_at = first_at or time.time()
                status = await self._dispatch(task, attempts, responses, previous, eta)
            attempts += 1
            if status is not None:
                responses, previous = responses + 1, status
            if status is not None and 200 <= status < 300:
                self.count("succeeded")
                return
            if self.settings.gives_up(attempts, time.time() - first_at):
                self.count("given_up")
                return
            self.count("retried")
            eta = time.time() + self.settings.backoff_s(attempts)

    async def _dispatch(
        self, task: Task, attempts: int, responses: int, previous: int | None, eta: float
    ) -> int | None:
        """The handler's status; None when it could not be reached or did not answer in time."""
        spec = task.spec
        headers = {
            "User-Agent": "Google-Cloud-Tasks",
            **spec.headers,
            "X-CloudTasks-QueueName": self.settings.name,
            "X-CloudTasks-TaskName": spec.short_name,
            "X-CloudTasks-TaskRetryCount": str(attempts),
            "X-CloudTasks-TaskExecutionCount": str(responses),
            "X-CloudTasks-TaskETA": f"{eta:.6f}",
        }
        if previous is not None:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(previous)
        self.count("dispatched")
        try:
            headers |= await self._identity(spec)
            async with self._session.request(
                spec.method,
                spec.url,
                data=spec.body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=spec.deadline_s),
                allow_redirects=False,
            ) as response:
                await response.read()
        except TimeoutError:
            self.count("deadline_exceeded")
            return None
        except aiohttp.ClientError:
            self.count("unreachable")
            return None
        self.count(f"answered_{response.status}")
        return response.status

    async def _identity(self, spec: TaskSpec) -> dict[str, str]:
        """In `Authorization` alone, as Cloud Tasks sends it. A task's own header of that name gives way to it."""
        if spec.caller is None or self._tokens is None:
            return {}
        return {
            "Authorization": f"Bearer {await self._tokens.token(spec.caller.service_account, spec.caller.audience)}"
        }

    async def _pace(self) -> None:
        self._next_dispatch = max(self._next_dispatch, time.monotonic() - _BURST_S) + 1 / self.settings.max_per_second
        await asyncio.sleep(max(0.0, self._next_dispatch - time.monotonic()))

    def _ended(self, task: Task, run: asyncio.Task[None]) -> None:
        task.runs.remove(run)
        if not task.runs and self.tasks.get(task.spec.name) is task:
            del self.tasks[task.spec.name]
            self._reserve(task.spec.name)
        if not run.cancelled():
            run.result()  # a defect of this server must not pass in silence: the loop reports it

    def _reserve(self, name: str) -> None:
        self._reserved_until[name] = time.monotonic() + NAME_RESERVED_S
