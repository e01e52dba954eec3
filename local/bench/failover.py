"""How long an account is without an owner, in real time: its connector killed, and asked to end (local/chaos/failover.py)."""

import statistics
from collections.abc import Iterator

from local.bench.figures import Figure, figure
from local.bench.ground import BenchFailed
from local.chaos import failover
from local.whatsapp import NetworkKind

_ROUNDS = 20
_SEED = 1


def figures() -> Iterator[Figure]:
    """Raises BenchFailed when a message was lost, came twice or out of order on the way."""
    try:
        found = failover.measure(_ROUNDS, _SEED, NetworkKind.REAL)
    except failover.NotTakenOver as problem:
        raise BenchFailed(str(problem)) from problem
    if found.findings:
        first = found.findings[0]
        raise BenchFailed(f"fail-over: {len(found.findings)} findings, the first: {first.where}: {first.what}")
    for what, taken in (("killed", found.killed_s), ("asked to end", found.handed_over_s)):
        row = f"owner {what}, connected elsewhere"
        yield figure(
            f"{row}, median of {_ROUNDS} times {len(taken) // _ROUNDS} accounts", statistics.median(taken), "s", None
        )
        yield figure(f"{row}, worst", max(taken), "s", None)
