"""The control APIs of this package's processes for Python. Blocking."""

from typing import Any

from local.control_client import ControlClient
from local.production.faults import FaultPlan
from local.production.firestore_counter import Count, Operation


class Cloud:
    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def strike(self, plan: FaultPlan) -> None:
        self._control.post("/faults", plan=plan.text())

    def kill(self, function: str) -> None:
        """All instances of the function; they are started again."""
        self._control.post("/kill", function=function)

    def counters(self) -> dict[str, int]:
        """events, invoked_<function>, answered_<function>_<status>, started_<function>, killed_<function>, fault_<kind>,
        under_way (what was taken on and is not over); what never happened is absent."""
        return {row["name"]: row["count"] for row in self._control.get("/counters")}


class Gate:
    """In front of Firestore or of the connector."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def strike(self, plan: FaultPlan) -> None:
        self._control.post("/faults", plan=plan.text())

    def counters(self) -> dict[str, int]:
        return {row["name"]: row["count"] for row in self._control.get("/counters")}

    def posts(self) -> list[dict[str, Any]]:
        """The connector's gate alone: every send that reached the connector, with its outcome."""
        return self._control.get("/posts")


class FirestoreCounter:
    """What each client has read and written so far."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def counts(self) -> list[Count]:
        rows = self._control.get("/counts")
        return [Count(**{**row, "operation": Operation(row["operation"])}) for row in rows]
