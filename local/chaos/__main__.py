"""python -m local.chaos [--faults 1000] [--seed 7] [--network real|simulated] [--kinds killed,frozen]: `make chaos`.

Several connectors, which are struck while people converse; local/chaos/README.md says what the counts mean. Status 0 only when
nothing was lost, duplicated, out of order or stuck, and nothing else is wrong.
"""

import argparse
import sys
import time
from contextlib import ExitStack, closing
from pprint import pformat

from core.timing import Timing
from local import firestore_jar, postgres
from local.chaos import store_audit
from local.chaos.campaign import Campaign
from local.chaos.crew import Crew
from local.chaos.disturbance import Disturbance, NobodyAtWork
from local.chaos.pairings import Pairings
from local.chaos.strikes import DEFAULT_GROUPS, Group, Strike, draw_strikes
from local.chaos.terms import Allowed, HistoryMissed, LeaseHistory, late_frames, outside_terms
from local.chaos.wire import logins, wire_findings
from local.faults import rounds
from local.faults.cast import make_cast, with_last_words
from local.faults.judge import Broken, Finding, judge
from local.faults.record import take_record
from local.faults.stage import Stage, StageFailed
from local.postgres import Postgres
from local.processes import Processes, StartFailed
from local.production import world as production
from local.production.world import World
from local.whatsapp import NetworkKind

_TIME_SCALE = 0.15
"""A lease lives 3.6 s, a claim 4.5: what is alive is in time, on a busy machine too."""
_SWEEP_INTERVAL_S = 60.0
_STALLED_S = 90.0
"""Longer than any back-off: what has not moved for so long is stuck, however slow the machine."""
_PING_MS = "1500"
"""A connection on which nobody answers is given up after two of them, not after half a minute."""
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
    except (StartFailed, StageFailed, NobodyAtWork, HistoryMissed, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1


def _play(options: argparse.Namespace) -> int:
    began = time.monotonic()
    cast = with_last_words(make_cast(options.seed, 0, options.faults * options.messages))
    strikes = draw_strikes(options.seed, options.faults, options.network, options.kinds)
    with Processes(purpose="chaos") as processes, ExitStack() as stack:
        store = _store(processes, options, stack)
        world = _start(processes, options, store)
        assert world.firestore_gate is not None
        db = stack.enter_context(closing(world.client()))
        stage = Stage(db=db, network=world.network)
        leases = stack.enter_context(LeaseHistory(db))
        stage.prepare(cast)
        if store is not None:
            store_audit.watch(store)
        pairings = Pairings(seed=options.seed, stage=stage)
        disturbance = Disturbance(
            world=world,
            stage=stage,
            cast=cast,
            crew=Crew(world=world, db=db),
            pairings=pairings,
            gate=world.firestore_gate,
            plan_file=processes.folder / "die",
            freeze_file=processes.folder / "freeze",
            lease_ttl_s=Timing().scaled(_TIME_SCALE).lease_ttl_s,
        )

        def told(strike: Strike) -> None:
            if (strike.number + 1) % _TOLD_EVERY == 0:
                print(f"  {strike.number + 1} faults, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

        Campaign(stage=stage, cast=cast, strikes=strikes, disturbance=disturbance, told=told).run()
        rounds.wait_while_it_shrinks(lambda: rounds.unsettled(world, db, cast), _STALLED_S)
        record = take_record(world, db, cast)
        verdict = judge(cast, record, chaos=True)
        findings = [*verdict.findings, *_unpaired(pairings), *late_frames(record.frames, _allowed(world))]
        if options.network is NetworkKind.REAL:
            control_port = world.ports.network_control
            findings += wire_findings(control_port)
            if Group.STOLEN not in options.kinds:  # there owners are in their term, and have no lease
                accounts = {account.phone: account.account_id for account in cast.accounts}
                findings += outside_terms(logins(control_port, accounts), leases.versions(accounts.values()))
        if store is not None:
            findings += store_audit.stale_writes(store)
        for what, times in sorted(disturbance.done.items()):
            print(f"  {what}: {times}")
        spent = f"{time.monotonic() - began:.0f} s"
        print(f"  uncertain={verdict.uncertain} adjacent_repeats={verdict.adjacent_repeats}, {spent}")
        for finding in findings[:_SHOWN_FINDINGS]:
            print(f"  {finding.broken}: {finding.where}: {finding.what}")
        if findings:
            (processes.folder / "record.txt").write_text(pformat(record, width=160))
            print(f"  {len(findings)} findings; logs: {processes.folder}")
    counts = " ".join(f"{kind}={sum(finding.broken is kind for finding in findings)}" for kind in _JUDGED)
    said = f"in={len(cast.all_inbound())} out={len(cast.all_requests())}"
    print(f"chaos: faults={sum(disturbance.done.values())} {said} {counts} seed={options.seed}", flush=True)
    return 1 if findings else 0


def _store(processes: Processes, options: argparse.Namespace, stack: ExitStack) -> Postgres | None:
    """That of the engines, where it is a PostgreSQL."""
    if options.network is NetworkKind.SIMULATED or options.store == "sqlite":
        return None
    return stack.enter_context(postgres.running(processes))


def _start(processes: Processes, options: argparse.Namespace, store: Postgres | None) -> World:
    world = production.start(
        processes,
        time_scale=_TIME_SCALE,
        late_s=rounds.LATE_S,
        workers=options.connectors,
        network=options.network,
        engine_store=store.dsn if store is not None else None,
        connector_environment={
            "WIRE_DIE_FILE": str(processes.folder / "die"),
            "WIRE_FREEZE_FILE": str(processes.folder / "freeze"),
            "WIRE_PING_MS": _PING_MS,
        },
    )
    production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=_TIME_SCALE)
    return world


def _allowed(world: World) -> dict[str, list[Allowed]]:
    """By waMessageKey."""
    allowed: dict[str, list[Allowed]] = {}
    for post in (post for gate in world.connector_gates for post in gate.posts()):
        until = Allowed(from_s=post["came_s"], until_s=post["not_after_s"])
        allowed.setdefault(post["wa_message_key"], []).append(until)
    return allowed


def _unpaired(pairings: Pairings) -> list[Finding]:
    what = "it could not be paired after what paired it was killed"
    return [Finding(broken=Broken.STUCK, where=f"account {account}", what=what) for account in pairings.unpaired]


def _groups(text: str) -> tuple[Group, ...]:
    return tuple(Group(name) for name in text.split(","))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
