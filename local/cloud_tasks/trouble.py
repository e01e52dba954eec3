"""What a test asks the server to do wrong with the next tasks, and the count of what has happened."""

from collections import Counter
from enum import StrEnum


class TroubleKind(StrEnum):
    LOSE = "lose"
    """CreateTask answers well, but the task never runs. Its name is taken."""
    HOLD = "hold"
    """The task waits until `release`, or until a reset forgets it."""
    DUPLICATE = "duplicate"
    """The task is dispatched twice, both at once."""


class Trouble:
    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._asked: dict[TroubleKind, int] = {}

    def ask(self, kind: TroubleKind, times: int) -> None:
        """Strikes the next `times` tasks that are created."""
        self._asked[kind] = self._asked.get(kind, 0) + times

    def take(self) -> TroubleKind | None:
        """What happens to the task that is being created."""
        for kind, times in self._asked.items():
            if times > 0:
                self._asked[kind] = times - 1
                return kind
        return None

    def reset(self) -> None:
        self.counters.clear()
        self._asked.clear()
