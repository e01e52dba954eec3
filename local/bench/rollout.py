"""What a Cloud Run rollout does to the accounts of a shard, in real time (local/chaos/rollout.py)."""

import statistics
from collections.abc import Iterator, Sequence

from local.bench.figures import Figure, figure
from local.bench.ground import BenchFailed
from local.chaos import rollout

_SEED = 1
_ACCOUNTS = (100, 500)
_STOPPED_ACCOUNTS = 500


def figures() -> Iterator[Figure]:
    """Raises BenchFailed when a message was lost, came twice or out of order on the way, and when an account was left unconnected."""
    for accounts in _ACCOUNTS:
        found = _measured(accounts, sigterm_after_s=None)
        what = f"rollout of {accounts} accounts"
        for row, taken_s in (("mute for sends", found.mute_s), ("away", found.away_s), ("a message", found.waited_s)):
            yield from _figures(f"{what}: {row}", taken_s)
    found = _measured(_STOPPED_ACCOUNTS, sigterm_after_s=0.0)
    what = f"SIGTERM with {_STOPPED_ACCOUNTS} accounts"
    yield figure(f"{what}: given back within 10 s", len(found.ended.within_s), "", None)
    yield from _figures(f"{what}: given back", found.ended.within_s)
    yield from _figures(f"{what}: away", found.away_s)


def _figures(what: str, taken_s: Sequence[float]) -> Iterator[Figure]:
    if taken_s:
        yield figure(f"{what}, median", statistics.median(taken_s), "s", None)
        yield figure(f"{what}, worst", max(taken_s), "s", None)


def _measured(accounts: int, *, sigterm_after_s: float | None) -> rollout.Rollout:
    try:
        found = rollout.measure(accounts, _SEED, sigterm_after_s=sigterm_after_s)
    except rollout.NotTakenOver as problem:
        raise BenchFailed(str(problem)) from problem
    if found.findings:
        first = found.findings[0]
        raise BenchFailed(f"rollout: {len(found.findings)} findings, the first: {first.where}: {first.what}")
    return found
