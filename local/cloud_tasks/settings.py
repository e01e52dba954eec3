"""A queue's settings, as a task-queue function deploys them, and when a failed task is tried again."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


class InvalidQueue(ValueError):
    """A --queue argument that cannot be understood. The text says why."""


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """The defaults are Cloud Tasks' own. `max_attempts` -1: no limit; `max_retry_s` 0: no limit."""

    name: str
    max_attempts: int = 100
    max_retry_s: float = 0.0
    min_backoff_s: float = 0.1
    max_backoff_s: float = 3600.0
    max_doublings: int = 16
    max_concurrent: int = 1000
    max_per_second: float = 500.0

    def scaled(self, factor: float) -> "QueueSettings":
        """Every time constant times `factor`, as TIME_SCALE does to the product's."""
        return replace(
            self,
            max_retry_s=self.max_retry_s * factor,
            min_backoff_s=self.min_backoff_s * factor,
            max_backoff_s=self.max_backoff_s * factor,
        )

    def gives_up(self, attempts: int, age_s: float) -> bool:
        """After this many attempts, the first one `age_s` ago. With both limits set, both must be reached."""
        if self.max_attempts < 0:
            return 0 < self.max_retry_s <= age_s
        return attempts >= self.max_attempts and (self.max_retry_s <= 0 or age_s >= self.max_retry_s)

    def backoff_s(self, attempts: int) -> float:
        """The wait after so many failed attempts: it doubles `max_doublings` times, then grows by as much each time."""
        doublings = min(attempts - 1, self.max_doublings)
        last_step = self.min_backoff_s * 2.0**doublings
        return min(self.max_backoff_s, last_step * (1 + (attempts - 1 - doublings)))

    def argument(self) -> str:
        """What `--queue` reads."""
        numbers = [f"{field.name}={getattr(self, field.name)}" for field in fields(self) if field.name != "name"]
        return ",".join([self.name, *numbers])


def parse_queue(argument: str) -> QueueSettings:
    """Reads NAME,max_attempts=5,min_backoff_s=1,... Raises InvalidQueue."""
    name, *settings = argument.split(",")
    if not name:
        raise InvalidQueue("a queue needs a name")
    queue = QueueSettings(name=name)
    numbers = {field.name: type(getattr(queue, field.name)) for field in fields(queue) if field.name != "name"}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in numbers:
            raise InvalidQueue(f"{key!r} is none of {', '.join(numbers)}")
        try:
            queue = replace(queue, **{key: numbers[key](value)})
        except ValueError as error:
            raise InvalidQueue(f"{key} must be a number, not {value!r}") from error
    return queue


_MANIFEST_NAMES = {
    ("retryConfig", "maxAttempts"): "max_attempts",
    ("retryConfig", "maxRetrySeconds"): "max_retry_s",
    ("retryConfig", "minBackoffSeconds"): "min_backoff_s",
    ("retryConfig", "maxBackoffSeconds"): "max_backoff_s",
    ("retryConfig", "maxDoublings"): "max_doublings",
    ("rateLimits", "maxConcurrentDispatches"): "max_concurrent",
    ("rateLimits", "maxDispatchesPerSecond"): "max_per_second",
}


def queue_of_manifest(name: str, task_queue_trigger: Mapping[str, Mapping[str, object]]) -> QueueSettings:
    """The queue that `firebase deploy` makes for a function, from the taskQueueTrigger of its endpoint in the manifest."""
    queue = QueueSettings(name=name)
    for (group, key), field_name in _MANIFEST_NAMES.items():
        value = task_queue_trigger.get(group, {}).get(key)
        if isinstance(value, int | float):
            queue = replace(queue, **{field_name: type(getattr(queue, field_name))(value)})
    return queue
