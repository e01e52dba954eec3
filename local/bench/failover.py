"""How long an account is without an owner, in real time: its connector killed, and asked to end (local/chaos/failover.py)."""

import statistics
from collections.abc import Iterator, Sequence

from local.bench.figures import Figure, figure
from local.bench.ground import BenchFailed
from local.chaos import failover
from local.whatsapp import NetworkKind

_ROUNDS = 20
_SEED = 1
_KILLED_AT_MOST_S = 30.0
"""The lease's 24 s, the next look, the claim and the login: 29 s (docs/architecture.md)."""
_HANDED_OVER_AT_MOST_S = 3.0
"""The next look, the claim and the login."""


def figures() -> Iterator[Figure]:
    """Raises BenchFailed when a message was lost, came twice or out of order on the way, and when an account was away too long."""
    try:
        found = failover.measure(_ROUNDS, _SEED, NetworkKind.REAL)
    except failover.NotTakenOver as problem:
        raise BenchFailed(str(problem)) from problem
    if found.findings:
        first = found.findings[0]
        raise BenchFailed(f"fail-over: {len(found.findings)} findings, the first: {first.where}: {first.what}")
    changes = (
        ("killed", found.killed_s, _KILLED_AT_MOST_S),
        ("asked to end", found.handed_over_s, _HANDED_OVER_AT_MOST_S),
    )
    for what, taken, _ in changes:
        row = f"owner {what}, connected elsewhere"
        yield figure(
            f"{row}, median of {_ROUNDS} times {len(taken) // _ROUNDS} accounts", statistics.median(taken), "s", None
        )
        yield figure(f"{row}, worst", max(taken), "s", None)
    for what, taken, at_most_s in changes:
        check_worst(what, taken, at_most_s)


def check_worst(what: str, taken_s: Sequence[float], at_most_s: float) -> None:
    """Raises BenchFailed."""
    late = [seconds for seconds in taken_s if seconds > at_most_s]
    if late:
        raise BenchFailed(
            f"owner {what}: {len(late)} of {len(taken_s)} accounts were connected elsewhere after more than "
            f"{at_most_s:.0f} s, the worst after {max(late):.1f} s"
        )
