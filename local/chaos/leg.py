"""A leg of a campaign: so many strikes in a world of its own, judged when they are over."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat

from google.cloud.firestore import Client

from core.timing import Timing
from local import postgres
from local.chaos import store_audit
from local.chaos.campaign import Campaign, LeftOut
from local.chaos.crew import Crew
from local.chaos.disturbance import Disturbance
from local.chaos.pairings import Pairings
from local.chaos.strikes import Kind, Strike
from local.chaos.terms import Allowed, LeaseHistory, late_frames, outside_terms, taken_over
from local.chaos.wire import logins, wire_findings
from local.faults import rounds
from local.faults.cast import Cast, make_cast, with_last_words
from local.faults.judge import judge
from local.faults.record import take_record
from local.faults.stage import Stage
from local.faults.verdict import Broken, Finding, Verdict
from local.postgres import Postgres
from local.processes import Processes
from local.production import world as production
from local.production.world import World
from local.whatsapp import NetworkKind

_TIME_SCALE = 0.15
"""A lease lives 3.6 s, a claim 4.5: what is alive is in time, on a busy machine too."""
_SWEEP_INTERVAL_S = 60.0
_STALLED_S = 90.0
"""Longer than any back-off: what has not moved for so long is stuck, however slow the machine."""
_CLOCKS_DIFFER_S = 5.0
"""By so much workers' wall clocks may differ (docs/architecture.md)."""
_PING_MS = "1500"
"""A connection on which nobody answers is given up after two of them, not after half a minute."""


@dataclass(frozen=True, kw_only=True)
class Leg:
    """`number` counts from 0; `messages` are requests a strike, and as many inbound messages."""

    seed: int
    number: int
    strikes: Sequence[Strike]
    spares: Sequence[Strike]
    """In place of those that meet nobody."""
    messages: int
    network: NetworkKind
    on_postgres: bool
    """The engines' session store; else a SQLite file."""
    connectors: int


@dataclass(frozen=True, kw_only=True)
class Result:
    done: Mapping[str, int]
    """How often what was struck."""
    missed: Mapping[str, int]
    """How many strikes of which kind met nobody."""
    inbound: int
    requests: int
    uncertain: int
    adjacent_repeats: int
    findings: Sequence[Finding]
    logs: Path
    """The run's folder. Where there are findings, what the judge saw stands there in `record.txt`."""


def play(leg: Leg, told: Callable[[], None]) -> Result:
    """`told` is called after each strike that met somebody. What breaks a leg off is a finding. Raises StartFailed."""
    cast = with_last_words(make_cast(leg.seed, leg.number, len(leg.strikes) * leg.messages))
    with Processes(purpose="chaos") as processes, ExitStack() as stack:
        store = stack.enter_context(postgres.running(processes)) if leg.on_postgres else None
        world = _start(processes, leg, store)
        db = stack.enter_context(closing(world.client()))
        clocks_ahead_s = {worker.endpoint: worker.clock_ahead_s for worker in world.workers}
        leases = stack.enter_context(LeaseHistory(db, clocks_ahead_s))
        disturbance = _disturbance(leg, world, db, cast)
        verdict = Verdict(findings=(), adjacent_repeats=0, uncertain=0)
        try:
            findings = _converse(leg, disturbance, store, told)
            record = take_record(world, db, cast)
            verdict = judge(cast, record, chaos=True)
            findings += [
                *verdict.findings,
                *late_frames(record.frames, _allowed(world)),
                *_seen(leg, world, cast, leases),
            ]
            findings += store_audit.stale_writes(store) if store is not None else ()
            if findings:
                (processes.folder / "record.txt").write_text(pformat(record, width=160))
        except Exception as problem:  # noqa: BLE001 - the leg's edge: a campaign says in its last line that it was not whole
            traceback.print_exc()
            findings = [
                Finding(broken=Broken.STUCK, where=f"leg {leg.number}", what=f"broken off: {type(problem).__name__}")
            ]
    return Result(
        done=disturbance.done,
        missed=disturbance.missed,
        inbound=len(cast.all_inbound()),
        requests=len(cast.all_requests()),
        uncertain=verdict.uncertain,
        adjacent_repeats=verdict.adjacent_repeats,
        findings=findings,
        logs=processes.folder,
    )


def _disturbance(leg: Leg, world: World, db: Client, cast: Cast) -> Disturbance:
    assert world.firestore_gate is not None
    stage, folder = Stage(db=db, network=world.network), world.processes.folder
    return Disturbance(
        world=world,
        stage=stage,
        cast=cast,
        crew=Crew(world=world, db=db),
        pairings=Pairings(seed=leg.seed, stage=stage),
        gate=world.firestore_gate,
        plan_file=folder / "die",
        freeze_file=folder / "freeze",
        lease_ttl_s=Timing().scaled(_TIME_SCALE).lease_ttl_s,
    )


def _converse(leg: Leg, disturbance: Disturbance, store: Postgres | None, told: Callable[[], None]) -> list[Finding]:
    """Returns when nothing moves any more, with what went wrong with those who were struck."""
    stage, world, cast = disturbance.stage, disturbance.world, disturbance.cast
    stage.prepare(cast)
    if store is not None:
        store_audit.watch(store)
    campaign = Campaign(
        stage=stage, cast=cast, strikes=leg.strikes, spares=leg.spares, disturbance=disturbance, told=told
    )
    left_out = campaign.run()
    rounds.wait_while_it_shrinks(
        lambda: rounds.on_their_way(world) + rounds.unsettled(world, stage.db, cast), _STALLED_S
    )
    return [*_left_out(left_out), *_unpaired(disturbance.pairings), *_did_not_end(disturbance.crew)]


def _start(processes: Processes, leg: Leg, store: Postgres | None) -> World:
    world = production.start(
        processes,
        time_scale=_TIME_SCALE,
        late_s=rounds.LATE_S,
        workers=leg.connectors,
        clocks_ahead_s=_clocks_ahead_s(leg),
        network=leg.network,
        engine_store=store.dsn if store is not None else None,
        connector_environment={
            "WIRE_DIE_FILE": str(processes.folder / "die"),
            "WIRE_FREEZE_FILE": str(processes.folder / "freeze"),
            "WIRE_PING_MS": _PING_MS,
        },
    )
    production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=_TIME_SCALE)
    return world


def _clocks_ahead_s(leg: Leg) -> list[float]:
    """Where there are several connectors, the last one's clock is ahead or behind: the one in a leg, the other in the next."""
    if leg.connectors == 1:
        return []
    ahead = (leg.seed + leg.number + (leg.network is NetworkKind.SIMULATED)) % 2
    skew_s = _CLOCKS_DIFFER_S * _TIME_SCALE
    return [0.0] * (leg.connectors - 1) + [skew_s if ahead else -skew_s]


def _seen(leg: Leg, world: World, cast: Cast, leases: LeaseHistory) -> list[Finding]:
    """By the network: sessions beside one another, or without a lease. A lease that is given away leaves its owner in its term."""
    given_away = any(strike.kind is Kind.STOLEN for strike in (*leg.strikes, *leg.spares))
    if leg.network is NetworkKind.SIMULATED:
        return [] if given_away else list(taken_over(world.network.openings()))
    control_port = world.ports.network_control
    findings = list(wire_findings(control_port, lease_given_away=given_away))
    if not given_away:
        accounts = {account.phone: account.account_id for account in cast.accounts}
        findings += outside_terms(logins(control_port, accounts), leases.versions(accounts.values()))
    return findings


def _allowed(world: World) -> dict[str, list[Allowed]]:
    """By waMessageKey. notAfter is the functions' time, and past when the wall clock of the connector that was asked is: a claim
    lasts 5 s longer for that."""
    allowed: dict[str, list[Allowed]] = {}
    for worker in world.workers:
        for post in worker.gate.posts() if worker.gate is not None else ():
            until = Allowed(from_s=post["came_s"], until_s=post["not_after_s"] - worker.clock_ahead_s)
            allowed.setdefault(post["wa_message_key"], []).append(until)
    return allowed


def _left_out(left_out: LeftOut | None) -> list[Finding]:
    return [] if left_out is None else [Finding(broken=Broken.STUCK, where="all accounts", what=left_out)]


def _did_not_end(crew: Crew) -> list[Finding]:
    what = "it was asked to end, and had to be killed"
    return [Finding(broken=Broken.STUCK, where=worker, what=what) for worker in crew.did_not_end]


def _unpaired(pairings: Pairings) -> list[Finding]:
    what = "it could not be paired after what paired it was killed"
    return [Finding(broken=Broken.STUCK, where=f"account {account}", what=what) for account in pairings.unpaired]
