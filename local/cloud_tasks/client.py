"""The task server's control API for Python."""

from dataclasses import dataclass

from local.cloud_tasks.trouble import TroubleKind
from local.control_client import ControlClient


@dataclass(frozen=True, kw_only=True)
class WaitingTask:
    """A task that has not ended: `name` is its last part. `held`: it waits for `release`."""

    queue: str
    name: str
    held: bool


class TaskServer:
    """Blocking."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def trouble(self, kind: TroubleKind, times: int = 1) -> None:
        """Strikes the next `times` tasks that are created. TroubleKind says what each kind does."""
        self._control.post("/trouble", kind=kind, times=times)

    def release(self) -> int:
        """Lets the held tasks go. Returns how many."""
        return int(self._control.post("/release")["released"])

    def pause(self) -> None:
        """All queues take tasks and dispatch none, until `resume` or a reset."""
        self._control.post("/pause")

    def resume(self) -> None:
        self._control.post("/resume")

    def counters(self) -> dict[str, int]:
        """created, already_exists, dispatched, succeeded, retried, given_up, answered_<status>, unreachable,
        deadline_exceeded, trouble_<kind>; what never happened is absent."""
        return {row["name"]: row["count"] for row in self._control.get("/counters")}

    def tasks(self) -> list[WaitingTask]:
        return [WaitingTask(**row) for row in self._control.get("/tasks")]

    def reset(self) -> None:
        """Forgets tasks, names, counters and trouble."""
        self._control.post("/reset")
