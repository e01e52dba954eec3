"""When a failed task is tried again, and what a queue's settings are read from."""

import pytest

from local.cloud_tasks.settings import InvalidQueue, QueueSettings, parse_queue, queue_of_manifest


@pytest.mark.parametrize(
    ("doublings", "waits"),
    [
        # The example of Cloud Tasks' documentation: doubled three times, then grown by as much, up to the maximum.
        (3, [10, 20, 40, 80, 160, 240, 300, 300]),
        (16, [10, 20, 40, 80, 160, 300, 300, 300]),
        (0, [10, 20, 30, 40, 50, 60, 70, 80]),
    ],
)
def test_the_back_off_grows_as_cloud_tasks_does(doublings: int, waits: list[int]) -> None:
    queue = QueueSettings(name="q", min_backoff_s=10, max_backoff_s=300, max_doublings=doublings)
    assert [queue.backoff_s(attempts) for attempts in range(1, 9)] == waits


@pytest.mark.parametrize(
    ("max_attempts", "max_retry_s", "attempts", "age_s", "gives_up"),
    [
        (3, 0, 2, 1e6, False),
        (3, 0, 3, 0, True),
        (3, 60, 3, 59, False),
        (3, 60, 3, 60, True),
        (3, 60, 2, 60, False),
        (-1, 0, 1000, 1e6, False),
        (-1, 60, 1, 59, False),
        (-1, 60, 1, 60, True),
    ],
)
def test_a_task_is_given_up_when_every_limit_is_reached(
    max_attempts: int, max_retry_s: float, attempts: int, age_s: float, gives_up: bool
) -> None:
    queue = QueueSettings(name="q", max_attempts=max_attempts, max_retry_s=max_retry_s)
    assert queue.gives_up(attempts, age_s) is gives_up


def test_settings_survive_the_command_line() -> None:
    queue = QueueSettings(name="send", max_attempts=-1, min_backoff_s=0.5, max_concurrent=7, max_per_second=2.5)
    assert parse_queue(queue.argument()) == queue
    assert parse_queue("send") == QueueSettings(name="send")


@pytest.mark.parametrize("argument", ["", ",max_attempts=1", "q,attempts=1", "q,max_attempts=many", "q,max_attempts"])
def test_a_queue_that_cannot_be_understood_is_refused(argument: str) -> None:
    with pytest.raises(InvalidQueue):
        parse_queue(argument)


def test_the_scale_applies_to_times_alone() -> None:
    queue = QueueSettings(name="q", min_backoff_s=1, max_backoff_s=60, max_retry_s=600).scaled(0.1)
    assert (queue.min_backoff_s, queue.max_backoff_s, queue.max_retry_s) == (0.1, 6, 60)
    assert (queue.max_attempts, queue.max_per_second) == (100, 500)


def test_a_deployed_functions_queue_is_read_from_its_manifest() -> None:
    trigger: dict[str, dict[str, object]] = {
        "retryConfig": {
            "maxAttempts": 20,
            "minBackoffSeconds": 1,
            "maxBackoffSeconds": 60,
            "maxDoublings": 6,
            "maxRetrySeconds": 900,
        },
        "rateLimits": {"maxConcurrentDispatches": 50, "maxDispatchesPerSecond": 25},
    }
    assert queue_of_manifest("send", trigger) == QueueSettings(
        name="send",
        max_attempts=20,
        max_retry_s=900,
        min_backoff_s=1,
        max_backoff_s=60,
        max_doublings=6,
        max_concurrent=50,
        max_per_second=25,
    )
    assert queue_of_manifest("send", {}) == QueueSettings(name="send")
