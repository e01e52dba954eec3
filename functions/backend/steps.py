"""The steps of a sweep, each on its own: what one of them meets holds up none of the others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from backend import log

Result = TypeVar("Result")


@dataclass(kw_only=True)
class Steps:
    failed: int = field(default=0, init=False)

    def take(self, name: str, act: Callable[[], object]) -> bool:
        """Whether it did not fail."""
        before = self.failed
        self.result(name, act)
        return self.failed == before

    def result(self, name: str, act: Callable[[], Result]) -> Result | None:
        """None where it failed: the next run meets the same again."""
        try:
            return act()
        except Exception:  # noqa: BLE001 - an edge: whatever one document does to us, what stands behind it has its turn
            self.failed += 1
            log.sweep_step_failed(name)
            return None
