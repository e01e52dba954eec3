"""python -m local.chaos [--faults 1000] [--seed 7] [--network real|simulated] [--kinds killed,frozen]: `make chaos`.

Several connectors, which are struck while people converse; local/chaos/README.md says what the counts mean. Status 0 only when
nothing was lost, duplicated, out of order or stuck, and nothing else is wrong.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from local import firestore_jar
from local.chaos.leg import Leg, Result, play
from local.chaos.strikes import DEFAULT_GROUPS, Group, draw_legs, points_to_meet
from local.faults.verdict import Broken
from local.processes import StartFailed
from local.whatsapp import NetworkKind

_LEG = 250
"""Strikes in one world. The emulator's queries take longer with each document that it holds: after 750 strikes in one world two
cores do little else, and after 1,000 its heap holds 7 GB."""
_MEETS_ALL = 1000
"""So many strikes meet each of the moments that matter most."""
_UNCERTAIN_AT_MOST = 0.005
_SHOWN_FINDINGS = 20
_TOLD_EVERY = 50
_JUDGED = (Broken.LOST, Broken.DUPLICATED, Broken.OUT_OF_ORDER, Broken.STUCK)


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.chaos")
    parser.add_argument("--faults", type=int, default=1000, help="how often something is struck")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--network", type=NetworkKind, default=NetworkKind.REAL, help="real or simulated")
    parser.add_argument("--kinds", type=_groups, default=DEFAULT_GROUPS, help=f"only these: {','.join(Group)}")
    parser.add_argument("--store", choices=("postgres", "sqlite"), default="postgres", help="the real engines'")
    parser.add_argument("--connectors", type=int, default=2)
    parser.add_argument("--messages", type=int, default=4, help="requests a fault, and as many inbound messages")
    options = parser.parse_args()
    if options.network is NetworkKind.REAL and options.store == "sqlite" and options.connectors > 1:
        parser.error("a SQLite file is one machine's: use --connectors 1, or PostgreSQL")
    try:
        return _play(options)
    except (StartFailed, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1


def _play(options: argparse.Namespace) -> int:
    began = time.monotonic()
    struck = 0

    def told() -> None:
        nonlocal struck
        struck += 1
        if struck % _TOLD_EVERY == 0:
            print(f"  {struck} faults, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    results = []
    for number, (strikes, spares) in enumerate(
        draw_legs(options.seed, options.faults, options.network, options.kinds, in_one=_LEG)
    ):
        leg = Leg(
            seed=options.seed,
            number=number,
            strikes=strikes,
            spares=spares,
            messages=options.messages,
            network=options.network,
            on_postgres=options.network is NetworkKind.REAL and options.store == "postgres",
            connectors=options.connectors,
        )
        results.append(play(leg, told))
        _tell_findings(results[-1])
    done = sum((Counter(result.done) for result in results), Counter[str]())
    missed = sum((Counter(result.missed) for result in results), Counter[str]())
    uncertain, repeats = sum(result.uncertain for result in results), sum(result.adjacent_repeats for result in results)
    for what, times in sorted(done.items()):
        print(f"  {what}: {times}")
    for kind, times in sorted(missed.items()):
        print(f"  met nobody: {kind}: {times}")
    print(f"  uncertain={uncertain} adjacent_repeats={repeats}, {time.monotonic() - began:.0f} s")
    findings = [finding for result in results for finding in result.findings]
    requests = sum(result.requests for result in results)
    complaints = list(_complaints(options, done, uncertain, requests))
    for complaint in complaints:
        print(f"  {complaint}")
    said = f"in={sum(result.inbound for result in results)} out={requests}"
    counts = " ".join(f"{kind}={sum(finding.broken is kind for finding in findings)}" for kind in _JUDGED)
    print(f"chaos: faults={done.total()} {said} {counts} seed={options.seed}", flush=True)
    return 1 if findings or complaints else 0


def _complaints(options: argparse.Namespace, done: Mapping[str, int], uncertain: int, requests: int) -> Iterator[str]:
    """What makes a campaign worth nothing, although nothing was found in it."""
    struck = sum(done.values())
    if struck != options.faults:
        yield f"{struck} strikes met somebody, and {options.faults} were asked for"
    if uncertain > requests * _UNCERTAIN_AT_MOST:
        yield f"{uncertain} of {requests} requests ended without anybody knowing of them: too many to be chance"
    if options.faults >= _MEETS_ALL and options.kinds == DEFAULT_GROUPS and options.connectors > 1:
        for point in points_to_meet(options.network):
            if not done.get(point):
                yield f"not met: {point}"


def _tell_findings(result: Result) -> None:
    for finding in result.findings[:_SHOWN_FINDINGS]:
        print(f"  {finding.broken}: {finding.where}: {finding.what}")
    if result.findings:
        print(f"  {len(result.findings)} findings; logs: {result.logs}", flush=True)


def _groups(text: str) -> tuple[Group, ...]:
    return tuple(Group(name) for name in text.split(","))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
