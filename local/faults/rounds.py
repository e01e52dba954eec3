"""One round: some kinds of faults strike while many write; then it is waited until nothing moves any more, and judged."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pprint import pformat

from google.cloud.firestore import Client, Query
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from local.faults.cast import Cast, make_cast, merging_cast
from local.faults.judge import judge
from local.faults.merges import Merges
from local.faults.record import take_record, unacknowledged
from local.faults.stage import Stage
from local.faults.verdict import Verdict
from local.production.faults import NO_FAULTS, FaultKind, FaultPlan
from local.production.world import World

TIME_SCALE = 0.1
"""Claims of 3 s, a sweep each 6 s: a round takes well under a minute."""
INSTANCES = {"threadlineOnIngest": 2, "threadlineSend": 2}
"""Two processes of what contends: what one of them remembers, the other does not."""
LATE_S = 6.0
"""Two claims: half of what is late comes when another worker has long gone on."""

_RATES: Mapping[FaultKind, tuple[float, float]] = {
    FaultKind.TWICE: (0.4, 0.12),
    FaultKind.LATE: (0.3, 0.1),
    FaultKind.OUT_OF_ORDER: (0.3, 0.1),
    FaultKind.REFUSED: (0.3, 0.1),
    FaultKind.ANSWER_LOST: (0.25, 0.08),
    FaultKind.NEVER: (0.15, 0.15),
    FaultKind.KILLED: (0.02, 0.006),
    FaultKind.FIRESTORE_REFUSES: (0.3, 0.1),
    FaultKind.FIRESTORE_HANGS: (0.3, 0.1),
    FaultKind.CONNECTOR_LATE: (0.2, 0.08),
    FaultKind.CONNECTOR_LOST: (0.2, 0.06),
    FaultKind.CONNECTOR_FAILS: (0.2, 0.06),
}
"""Where a kind strikes alone, and where it strikes with others. What is lost is found by others' work in a busy chat, so that
only a high rate leaves something to the sweeper."""

_KILLED_IN_MERGES = 0.1
"""Often, so that some kills meet the merge itself."""

STALLED_S = 40.0
"""Several sweeps, claims and back-offs: what has not moved for so long is stuck. However slow the machine, it moves."""
_POLL_S = 0.4


@dataclass(frozen=True, kw_only=True)
class Round:
    seed: int
    number: int
    kinds: Sequence[FaultKind]
    messages: int
    merges: bool = False
    """All chats begin under a number and merge."""

    def cast(self) -> Cast:
        make = merging_cast if self.merges else make_cast
        return make(self.seed, self.number, self.messages)

    def plan(self) -> FaultPlan:
        if self.merges and self.kinds == (FaultKind.KILLED,):
            return FaultPlan(seed=self.seed, rates={FaultKind.KILLED: _KILLED_IN_MERGES})
        if len(self.kinds) == 1:
            return FaultPlan(seed=self.seed, rates={kind: _RATES[kind][0] for kind in self.kinds})
        return plan_with_others(self.seed, self.kinds)


@dataclass(frozen=True, kw_only=True)
class Result:
    verdict: Verdict
    requests: int
    inbound: int
    seconds: float
    struck: int
    kills: int
    """Processes of functions that were killed, wherever they were at work."""
    merges: int = 0
    kills_in_merge: int = 0
    """Those of them that were killed with the commit of a merge under way."""


def plan_with_others(seed: int, kinds: Sequence[FaultKind] = tuple(FaultKind)) -> FaultPlan:
    """Each kind as often as it strikes where others do, too."""
    return FaultPlan(seed=seed, rates={kind: _RATES[kind][1] for kind in kinds})


def rounds_of(seed: int, n: int, kinds: Sequence[FaultKind] | None, *, merges: bool = False) -> list[Round]:
    """A seed's rounds: one kind alone (each in its turn, as seeds go by), then all together; or just the kinds asked for."""
    if kinds is not None:
        return [Round(seed=seed, number=0, kinds=kinds, messages=n, merges=merges)]
    alone = tuple(FaultKind)[(seed - 1) % len(FaultKind)]
    return [
        Round(seed=seed, number=0, kinds=(alone,), messages=n // 3, merges=merges),
        Round(seed=seed, number=1, kinds=tuple(FaultKind), messages=n - n // 3, merges=merges),
    ]


def play(world: World, db: Client, this: Round) -> Result:
    """Raises StageFailed when the round cannot begin."""
    cast = this.cast()
    stage = Stage(db=db, network=world.network)
    stage.prepare(cast)
    began, struck_before, killed_before = time.monotonic(), _struck(world), _killed(world)
    assert world.firestore_gate is not None
    merges = Merges(
        cloud=world.cloud,
        gate=world.firestore_gate,
        db=db,
        cast=cast,
        seed=this.seed,
        kills=FaultKind.KILLED in this.kinds,
    )
    _strike(world, this.plan())
    with merges:
        stage.write(cast)
        wait_while_it_shrinks(lambda: unsettled(world, db, cast))
    _strike(world, NO_FAULTS)
    wait_while_it_shrinks(lambda: on_their_way(world) + unsettled(world, db, cast))
    record = take_record(world, db, cast)
    verdict = judge(cast, record)
    if verdict.findings:
        file = world.processes.folder / f"record-{this.number}.txt"
        file.write_text(pformat(record, width=160))
    return Result(
        verdict=verdict,
        requests=len(cast.all_requests()),
        inbound=len(cast.all_inbound()),
        seconds=time.monotonic() - began,
        struck=_struck(world) - struck_before,
        kills=_killed(world) - killed_before,
        merges=merges.done,
        kills_in_merge=sum(merges.killed.values()),
    )


def _strike(world: World, plan: FaultPlan) -> None:
    world.cloud.strike(plan)
    if world.firestore_gate is not None:
        world.firestore_gate.strike(plan)
    for gate in world.connector_gates:
        gate.strike(plan)


def _struck(world: World) -> int:
    return sum(
        count
        for source in (world.cloud, world.firestore_gate, *world.connector_gates)
        if source is not None
        for name, count in source.counters().items()
        if name.startswith(("fault_", "firestore_"))
    )


def _killed(world: World) -> int:
    return sum(count for name, count in world.cloud.counters().items() if name.startswith("killed_"))


def unsettled(world: World, db: Client, cast: Cast) -> int:
    """How much waits: requests, rows, events, and messages and receipts of contacts that do not stand in the log yet."""
    unfinished = db.collection(schema.OUTBOX).where(filter=FieldFilter("status", "in", ["queued", "sending"]))
    unprocessed = db.collection(schema.INGEST).where(filter=FieldFilter("processed", "==", False))
    receipts = sum(chat.requests * (2 if chat.reads else 1) for chat in cast.chats)
    owed = max(0, receipts - _rows(db, cast, "receipt")) + max(0, len(cast.all_inbound()) - _rows(db, cast, "message"))
    return _count(unfinished) + _count(unprocessed) + unacknowledged(world.network, cast) + owed


def _rows(db: Client, cast: Cast, event_type: str) -> int:
    of_type = db.collection(schema.INGEST).where(filter=FieldFilter("eventType", "==", event_type))
    return sum(
        _count(of_type.where(filter=FieldFilter("accountId", "==", account.account_id))) for account in cast.accounts
    )


def _count(query: Query) -> int:
    return sum(1 for _ in query.select([]).stream())


def on_their_way(world: World) -> int:
    """Events, tasks and held-up calls that could still do harm."""
    counted = [world.cloud.counters(), *(gate.counters() for gate in world.connector_gates)]
    under_way = sum(counters.get("under_way", 0) for counters in counted)
    return under_way + len(world.tasks.tasks())


def wait_while_it_shrinks(left: Callable[[], int], stalled_s: float = STALLED_S) -> None:
    """Until nothing is left, or as much as before for too long: then the judge says what is wrong."""
    least, since = left(), time.monotonic()
    while least and time.monotonic() - since < stalled_s:
        time.sleep(_POLL_S)
        if (now := left()) < least:
            least, since = now, time.monotonic()
