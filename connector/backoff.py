"""How long to wait before trying again."""

import random
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Backoff:
    """Delays that double from `first_s` to `max_s`, each drawn from its upper half: waiters do not move in step."""

    first_s: float
    max_s: float
    _next_s: float = field(default=0.0, init=False)

    def next_delay_s(self) -> float:
        self._next_s = min(self.max_s, self._next_s * 2 or self.first_s)
        return self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        self._next_s = 0.0
