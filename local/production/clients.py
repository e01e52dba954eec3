"""The control APIs of this package's processes for Python. Blocking."""

from typing import Any

from local.control_client import ControlClient
from local.production.commits import CommitKind
from local.production.faults import FaultPlan
from local.production.firestore_counter import Count, Operation
from local.production.holds import Moment


class Cloud:
    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def strike(self, plan: FaultPlan) -> None:
        self._control.post("/faults", plan=plan.text())

    def kill(self, function: str) -> int:
        """All instances of the function that are up; they are started again. Returns how many there were."""
        return int(self._control.post("/kill", function=function)["killed"])

    def kill_caller(self, port: int) -> str | None:
        """Kills the instance that a connection from this port is of. Returns its function; None where there is no such instance."""
        function = self._control.post("/kill_caller", port=port)["function"]
        return str(function) if function else None

    def counters(self) -> dict[str, int]:
        """events, invoked_<function>, answered_<function>_<status>, started_<function>, killed_<function>, fault_<kind>,
        under_way (what was taken on and is not over); what never happened is absent."""
        return {row["name"]: row["count"] for row in self._control.get("/counters")}


class FirestoreGate:
    """In front of Firestore, with a port a client."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def strike(self, plan: FaultPlan, client: str | None = None) -> None:
        """For all clients, or for one of them."""
        self._control.post("/faults", plan=plan.text(), client=client)

    def counters(self) -> dict[str, int]:
        return {row["name"]: row["count"] for row in self._control.get("/counters")}

    def hold(
        self, client: str, commit: CommitKind, moment: Moment, *, passes: int = 1, document: str | None = None
    ) -> int:
        """The client's `passes`-th such commit from now on is held until it is released. Returns the hold's id.

        `document`: only commits that write something with this part in its path, such as an account's id.
        """
        row = self._control.post("/hold", client=client, commit=commit, moment=moment, passes=passes, document=document)
        return int(row["hold_id"])

    def refuse(self, client: str, commit: CommitKind, *, document: str | None = None) -> None:
        """Firestore is not available for such commits of the client until they are allowed, or everything is released."""
        self._control.post("/refuse", client=client, commit=commit, document=document)

    def allow(self, client: str, commit: CommitKind, *, document: str | None = None) -> None:
        """Ends a `refuse` of the same arguments."""
        self._control.post("/allow", client=client, commit=commit, document=document)

    def has_met(self, hold_id: int) -> bool:
        """Whether such a commit has come, and is held."""
        return bool(self._control.get("/met", hold_id=str(hold_id))[0]["has_met"])

    def callers(self) -> dict[int, int]:
        """Of each hold that has met a commit: the port of the connection that the commit came over."""
        return {int(row["hold_id"]): int(row["caller_port"]) for row in self._control.get("/callers")}

    def release(self, hold_id: int | None = None) -> None:
        """Lets go what is held, or holds it no more. None: everything, and what is refused."""
        self._control.post("/release", hold_id=hold_id)


class ConnectorGate:
    """In front of one connector."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def strike(self, plan: FaultPlan) -> None:
        self._control.post("/faults", plan=plan.text())

    def counters(self) -> dict[str, int]:
        return {row["name"]: row["count"] for row in self._control.get("/counters")}

    def posts(self) -> list[dict[str, Any]]:
        """Every send that reached the connector, with its outcome."""
        return self._control.get("/posts")


class FirestoreCounter:
    """What each client has read and written so far."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def counts(self) -> list[Count]:
        rows = self._control.get("/counts")
        return [Count(**{**row, "operation": Operation(row["operation"])}) for row in rows]
