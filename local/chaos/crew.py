"""The connectors that are at work, each with its engine: who owns what, and how they are killed, frozen, asked to end and started again."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psutil
from google.cloud.firestore import Client

from core import schema
from core.account import parse_lease
from core.ids import AccountId
from local.processes import Child
from local.production.world import Worker, World, spawn_worker

_POLL_S = 0.02
_END_LIMIT_S = 15.0
"""For a connector that was asked to end: it hands over within a renewal's interval, and stops its engine."""


@dataclass(kw_only=True)
class Crew:
    world: World
    db: Client
    did_not_end: list[str] = field(default_factory=list, init=False)
    """Workers that were asked to end, and had to be killed when their time for it was over."""
    _children: dict[str, Child] = field(init=False)

    def __post_init__(self) -> None:
        self._children = {worker.name: worker.child for worker in self.world.workers}

    def owner_of(self, account: AccountId) -> Worker | None:
        """Who holds the account's lease now."""
        lease = parse_lease(self.db.collection(schema.LEASES).document(account).get().to_dict() or {})
        if not lease.is_held(datetime.now(UTC)):
            return None
        return next((worker for worker in self.world.workers if worker.endpoint == lease.endpoint), None)

    def others_of(self, worker: Worker) -> list[Worker]:
        return [other for other in self.world.workers if other.name != worker.name]

    def kill(self, worker: Worker) -> None:
        """Its engine ends with it."""
        child = self._children[worker.name]
        engine = self.engine_of(worker)
        self.world.processes.kill(child)
        if engine is not None:
            has_ended(engine, _END_LIMIT_S)

    def ask_to_end(self, worker: Worker) -> None:
        self._children[worker.name].process.terminate()

    def restart(self, worker: Worker) -> None:
        """One that was asked to end has its time for it. Does not wait for the new one."""
        child = self._children[worker.name]
        deadline = time.monotonic() + _END_LIMIT_S
        while child.is_running and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if child.is_running:
            self.did_not_end.append(worker.name)
        self.world.processes.kill(child)
        self._children[worker.name] = spawn_worker(self.world.processes, worker)

    def is_running(self, worker: Worker) -> bool:
        return self._children[worker.name].is_running

    def engine_of(self, worker: Worker) -> psutil.Process | None:
        """None also over the simulated network, where it is no connector's."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._children[worker.name].process.pid).children()
            return next((child for child in children if is_alive(child)), None)
        return None

    def freeze(self, worker: Worker) -> None:
        """The connector alone."""
        self._signal(self._children[worker.name].process.pid, signal.SIGSTOP)

    def thaw(self, worker: Worker) -> None:
        self._signal(self._children[worker.name].process.pid, signal.SIGCONT)

    def freeze_engine(self, engine: psutil.Process | None) -> None:
        if engine is not None:
            self._signal(engine.pid, signal.SIGSTOP)

    def stopped(self) -> Worker | None:
        """Whose engine has come to a halt."""
        for worker in self.world.workers:
            engine = self.engine_of(worker)
            with suppress(psutil.NoSuchProcess):
                if engine is not None and engine.status() == psutil.STATUS_STOPPED:
                    return worker
        return None

    def thaw_engine(self, engine: psutil.Process | None) -> None:
        """It may have been killed meanwhile."""
        if engine is not None and is_alive(engine):
            self._signal(engine.pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def has_ended(process: psutil.Process, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
