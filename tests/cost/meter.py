"""What one event cost: what Firestore was asked for and which functions ran, from before it until nothing is under way."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from core import schema
from local.production.firestore_counter import Operation
from local.production.world import CONNECTOR, World
from tests.waiting import wait_until

_UPKEEP = frozenset({schema.ACCOUNTS, schema.LEASES})
"""What the connector reads and writes here goes on whether or not anybody writes: heartbeats and leases."""


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What Firestore and Cloud Functions bill for one event."""

    writes: int
    reads: int
    invocations: int
    others: int = 0
    """Deletes, and calls that the counter has no price for."""

    def overruns(self, budget: "Bill") -> list[str]:
        """Empty when it is exactly the budget: a bill below it means that the budget is out of date."""
        return [
            f"{actual} {name} instead of {budgeted}"
            for name, actual, budgeted in (
                ("writes", self.writes, budget.writes),
                ("reads", self.reads, budget.reads),
                ("invocations", self.invocations, budget.invocations),
                ("other operations", self.others, budget.others),
            )
            if actual != budgeted
        ]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A bill and who asked for what: lines like `send reads whatsapp_messages`, with how often."""

    bill: Bill
    parts: Counter[str]
    log_lines: list[str]
    """Of functions and connector, as Cloud Logging would be given them."""


@dataclass(frozen=True, kw_only=True)
class Meter:
    world: World

    def measure(self, act: Callable[[], object], is_done: Callable[[], bool], what: str) -> Measured:
        """`is_done` tells when the event has had its effect; what is still under way then is waited for and counted."""
        self.wait_until_calm()
        firestore, functions, logged = self._firestore(), self._invocations(), self._logged()
        act()
        wait_until(is_done, what)
        self.wait_until_calm()
        asked, invoked = self._firestore() - firestore, self._invocations() - functions
        operations = Counter[Operation]()
        for (_, operation, _), count in asked.items():
            operations[operation] += count
        return Measured(
            bill=Bill(
                writes=operations[Operation.WRITE],
                reads=operations[Operation.READ],
                invocations=invoked.total(),
                others=operations[Operation.DELETE] + operations[Operation.NOT_UNDERSTOOD],
            ),
            parts=Counter(
                {
                    f"{client} {operation}s {collection}": count
                    for (client, operation, collection), count in asked.items()
                }
                | {f"{function} is invoked": count for function, count in invoked.items()}
            ),
            log_lines=list((self._logged() - logged).elements()),
        )

    def wait_until_calm(self) -> None:
        """No event, task or invocation is under way or waits."""
        wait_until(self._is_calm, "that nothing is under way")

    def _is_calm(self) -> bool:
        if self.world.tasks.tasks():
            return False
        counters = self.world.cloud.counters()
        answered = sum(count for name, count in counters.items() if name.startswith("answered_"))
        return counters["under_way"] == 0 and answered == self._invocations().total()

    def _invocations(self) -> Counter[str]:
        counters = self.world.cloud.counters()
        return Counter({name: counters.get(f"invoked_{name}", 0) for name in self.world.functions})

    def _logged(self) -> Counter[str]:
        folder = self.world.processes.folder
        logs = [*sorted(folder.glob("function.*.log")), folder / f"{CONNECTOR}.log"]
        return Counter(line for log in logs for line in log.read_text().splitlines())

    def _firestore(self) -> Counter[tuple[str, Operation, str]]:
        assert self.world.counter is not None
        return Counter(
            {
                (count.client, count.operation, count.collection): count.count
                for count in self.world.counter.counts()
                if not (count.client == CONNECTOR and count.collection in _UPKEEP)
            }
        )
