"""python -m local.faults [--seeds 20] [--n 300] [--seed 1] [--kinds late,killed] [--network real]: `make faults`.

Each seed has a world of its own. Status 0 only when nothing was lost, duplicated, out of order, stuck or miscounted.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing

from local import firestore_jar
from local.faults import rounds
from local.faults.rounds import Result, Round
from local.faults.stage import StageFailed
from local.faults.verdict import Broken, totals
from local.processes import Processes, StartFailed
from local.production import world as production
from local.production.faults import FaultKind
from local.whatsapp import NetworkKind

_SWEEP_INTERVAL_S = 60.0
_SHOWN_FINDINGS = 12


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.faults")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--n", type=int, default=300, help="requests a seed, and as many inbound messages")
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--kinds", type=_kinds, help=f"only these, together: {','.join(FaultKind)}")
    parser.add_argument("--network", type=NetworkKind, default=NetworkKind.SIMULATED, help="simulated or real")
    parser.add_argument(
        "--merges", action="store_true", help="all chats begin under a number, and their LIDs become known"
    )
    options = parser.parse_args()
    results: list[Result] = []
    try:
        for seed in range(options.seed, options.seed + options.seeds):
            planned = rounds.rounds_of(seed, options.n, options.kinds, merges=options.merges)
            results += _play_seed(planned, options.network, _command(seed, options))
    except (StartFailed, StageFailed, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1
    is_well, told = _summary(options, results)
    print(told, flush=True)
    return 0 if is_well else 1


def _summary(options: argparse.Namespace, results: Sequence[Result]) -> tuple[bool, str]:
    """Whether all is as it must be, and the last line. A run that was to kill merges, and met none, has shown nothing."""
    broken = totals([result.verdict for result in results])
    counts = " ".join(f"{kind}={broken[kind]}" for kind in Broken)
    requests, inbound = sum(result.requests for result in results), sum(result.inbound for result in results)
    struck = sum(result.struck for result in results)
    told = f"faults: seeds={options.seeds} requests={requests} inbound={inbound} {counts} (struck={struck})"
    if not options.merges:
        return not broken.total(), told
    merges, in_merge = sum(result.merges for result in results), sum(result.kills_in_merge for result in results)
    kills = sum(result.kills for result in results)
    has_missed = not in_merge and FaultKind.KILLED in (options.kinds or FaultKind)
    is_well = not broken.total() and not has_missed
    return is_well, f"{told} merges={merges} kills={kills} kills_in_merge={in_merge}"


def _play_seed(planned: Sequence[Round], network: NetworkKind, again: str) -> list[Result]:
    began = time.monotonic()
    with Processes(purpose="faults") as processes:
        world = production.start(
            processes,
            time_scale=rounds.TIME_SCALE,
            instances=rounds.INSTANCES,
            late_s=rounds.LATE_S,
            network=network,
        )
        production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=rounds.TIME_SCALE)
        up_s = time.monotonic() - began
        with closing(world.client()) as db:
            results = []
            for this in planned:
                results.append(rounds.play(world, db, this))
                _tell(this, results[-1], up_s)
        if any(result.verdict.findings for result in results):
            print(f"  again: {again}\n  logs: {processes.folder}", flush=True)
    return results


def _tell(this: Round, result: Result, up_s: float) -> None:
    kinds = "all kinds" if len(this.kinds) == len(FaultKind) else ",".join(this.kinds)
    verdict = result.verdict
    print(
        f"seed {this.seed} {kinds}: requests={result.requests} inbound={result.inbound} struck={result.struck} "
        f"adjacent_repeats={verdict.adjacent_repeats} findings={len(verdict.findings)} "
        f"({result.seconds:.0f} s, up in {up_s:.1f} s)",
        flush=True,
    )
    for finding in verdict.findings[:_SHOWN_FINDINGS]:
        print(f"  {finding.broken}: {finding.where}: {finding.what}")
    if len(verdict.findings) > _SHOWN_FINDINGS:
        print(f"  and {len(verdict.findings) - _SHOWN_FINDINGS} more")


def _command(seed: int, options: argparse.Namespace) -> str:
    kinds = f" kinds={','.join(options.kinds)}" if options.kinds else ""
    network = f" network={options.network}" if options.network is not NetworkKind.SIMULATED else ""
    merges = " merges=1" if options.merges else ""
    return f"make faults seeds=1 seed={seed} n={options.n}{kinds}{network}{merges}"


def _kinds(text: str) -> tuple[FaultKind, ...]:
    return tuple(FaultKind(name) for name in text.split(","))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
