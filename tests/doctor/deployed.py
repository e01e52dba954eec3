"""The product as production runs it, with ways to really break it, so that the doctor can be tested against it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from google.cloud.firestore import Client

from core import schema
from core.account import new_account_document, new_lease_document, parse_lease
from core.ids import AccountId
from local.processes import Processes, answers
from local.production import world as production
from local.production.world import Worker, World
from tests.connector_admin.running import CommandLine
from tests.waiting import wait_until

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Diagnosed:
    """What a run of the doctor has answered."""

    status: int
    complaint: str
    findings: list[Row]

    def of(self, check: str, about: str | None = None) -> list[Row]:
        return [row for row in self.findings if row["check"] == check and about in (None, row["about"])]

    def the(self, check: str, about: str | None = None) -> Row:
        (found,) = self.of(check, about)
        return found

    def wrong(self) -> dict[str, set[str | None]]:
        """The checks that found something wrong, with what they found it of."""
        found: dict[str, set[str | None]] = {}
        for row in self.findings:
            if row["result"] == "wrong":
                found.setdefault(row["check"], set()).add(row["about"])
        return found


def examined(admin: CommandLine, *arguments: str) -> Diagnosed:
    ended = admin.run("doctor", "--json", *arguments)
    assert ended.out, ended.errors
    return Diagnosed(status=ended.status, complaint=ended.errors, findings=ended.data["findings"])


@dataclass(frozen=True, kw_only=True)
class Deployed:
    processes: Processes
    world: World
    db: Client
    admin: CommandLine

    @property
    def first(self) -> Worker:
        return self.world.workers[0]

    def examined(self, *arguments: str) -> Diagnosed:
        return examined(self.admin, *arguments)

    @contextmanager
    def replaced(
        self, *, clock_ahead_s: float = 0.0, becomes_ready: bool = True, **environment: str
    ) -> Iterator[Worker]:
        """Restarts the first connector with other settings, and afterwards with its own again. Waits until it is ready unless it cannot be."""
        self._stop(self.first)
        other = replace(self.first, environment={**self.first.environment, **environment}, clock_ahead_s=clock_ahead_s)
        self._start(other, becomes_ready=becomes_ready)
        try:
            yield other
        finally:
            self._stop(other)
            self._start(self.first)

    @contextmanager
    def without_first(self) -> Iterator[None]:
        self._stop(self.first)
        try:
            yield
        finally:
            self._start(self.first)

    @contextmanager
    def owned_accounts(self, endpoint: str) -> Iterator[None]:
        """Creates accounts until the connector at this address owns one. Other connectors may own the others."""
        leases = self.db.collection(schema.LEASES)
        accounts: list[AccountId] = []

        def create() -> None:
            account = AccountId(f"shop-{len(accounts)}")
            accounts.append(account)
            document = new_account_document(account, "Front desk")
            self.db.collection(schema.ACCOUNTS).document(account).set(document)
            leases.document(account).set(new_lease_document(datetime.now(UTC)))

        def is_owned() -> bool:
            endpoints = [parse_lease(found.to_dict() or {}).endpoint for found in leases.stream()]
            if all(endpoints):
                create()
            return endpoint in endpoints

        try:
            wait_until(is_owned, f"{endpoint} owns an account", 60)
            yield
        finally:
            for account in accounts:
                leases.document(account).delete()
                self.db.collection(schema.ACCOUNTS).document(account).delete()

    def await_ready(self, worker: Worker) -> None:
        url = f"http://127.0.0.1:{worker.ports.connector}/readyz"

        def is_ready() -> bool:
            try:
                return httpx.get(url, timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(is_ready, "the connector is ready", 60)

    def _start(self, worker: Worker, *, becomes_ready: bool = True) -> None:
        child = production.spawn_worker(self.processes, worker)
        self.processes.await_ready(child, answers(worker.ports.connector))
        if becomes_ready:
            self.await_ready(worker)

    def _stop(self, worker: Worker) -> None:
        """The connector's current process."""
        for child in list(self.processes.children):
            if child.name == worker.name and child.is_running:
                self.processes.kill(child)
