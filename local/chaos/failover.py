"""python -m local.chaos.failover [--rounds 20] [--seed 1] [--network real|simulated]: how long an account is without an owner, in real time.

Two connectors; the one that owns all five accounts is killed, again and again, then asked to end, again and again, while people
converse. Status 0 only when not a message was lost, came twice or out of order.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from local import firestore_jar, ports, postgres
from local.chaos.crew import Crew
from local.chaos.talk import Message, Talk
from local.chaos.wire import wire_findings
from local.faults.cast import Cast, make_cast
from local.faults.judge import judge
from local.faults.record import take_record
from local.faults.rounds import unsettled, wait_while_it_shrinks
from local.faults.stage import Stage, StageFailed
from local.faults.verdict import Broken, Finding
from local.network.client import AccountState
from local.processes import Processes, StartFailed
from local.production import world as production
from local.production.world import Worker, World
from local.whatsapp import NetworkKind

_ACCOUNTS = 5
_MESSAGES_A_ROUND = 15
_PAUSE_S = 2.0
"""Between two that are written, each way."""
_SWEEP_INTERVAL_S = 60.0
_STALLED_S = 200.0
"""Some sweeps, claims and back-offs: time is not scaled."""
_LIMIT_S = 120.0
_POLL_S = 0.03


class NotTakenOver(Exception):
    """An account was not connected elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Failover:
    """Seconds from the kill, or the SIGTERM, until an account was connected elsewhere: one for each account and time."""

    killed_s: Sequence[float]
    handed_over_s: Sequence[float]
    written: int
    findings: Sequence[Finding]


def measure(rounds: int, seed: int, network: NetworkKind, *, time_scale: float = 1.0) -> Failover:
    """So many kills, then so many hand-overs. Raises StartFailed, StageFailed and NotTakenOver."""
    with Processes(purpose="failover") as processes, ExitStack() as stack:
        store = stack.enter_context(postgres.running(processes)).dsn if network is NetworkKind.REAL else None
        world = production.start(
            processes, time_scale=time_scale, workers=2, network=network, engine_store=store, gates=False
        )
        production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=time_scale)
        db = stack.enter_context(closing(world.client()))
        cast = make_cast(seed, 0, rounds * 2 * _MESSAGES_A_ROUND, accounts=_ACCOUNTS)
        stage = Stage(db=db, network=world.network)
        stage.prepare(cast)
        changes = _Changes(world=world, cast=cast, crew=Crew(world=world, db=db))
        changes.gather()
        lines = [sorted(messages, key=lambda message: message.place) for messages in _both_ways(cast)]
        talk = Talk(stage=stage, lines=lines, pause_s=_PAUSE_S)
        talk.begin()
        killed = [taken for _ in range(rounds) for taken in changes.kill()]
        handed_over = [taken for _ in range(rounds) for taken in changes.hand_over()]
        talk.end()
        wait_while_it_shrinks(lambda: unsettled(world, db, cast), _STALLED_S)
        verdict = judge(cast, take_record(world, db, cast), chaos=True)
        findings = list(verdict.findings)
        if verdict.uncertain:
            what = f"{verdict.uncertain} ended without anybody knowing of them"
            findings.append(Finding(broken=Broken.LOST, where="requests", what=what))
        if network is NetworkKind.REAL:
            findings += wire_findings(world.ports.network_control)
    written = len(cast.all_requests()) + len(cast.all_inbound())
    return Failover(killed_s=killed, handed_over_s=handed_over, written=written, findings=findings)


@dataclass(frozen=True, kw_only=True)
class _Changes:
    """Changes of owner: all accounts go from the one worker to the other."""

    world: World
    cast: Cast
    crew: Crew

    def gather(self) -> None:
        """All accounts in one worker's hands."""
        last = self.world.workers[-1]
        self.crew.ask_to_end(last)
        self._await(lambda: all(owner not in (None, last) for owner in self._owners()), "one owner of all")
        self._start_again(last)

    def kill(self) -> list[float]:
        return self._change(self.crew.kill)

    def hand_over(self) -> list[float]:
        return self._change(self.crew.ask_to_end)

    def _change(self, end: Callable[[Worker], None]) -> list[float]:
        """How long each account took."""
        owner = self._owners()[0]
        assert owner is not None
        before, taken = self._states(), dict[str, float]()
        began = time.monotonic()
        end(owner)

        def are_back() -> bool:
            for phone, state in self._states().items():
                if state.epoch > before[phone].epoch and state.is_connected:
                    taken.setdefault(phone, time.monotonic() - began)
            return len(taken) == len(before)

        self._await(are_back, "all accounts connected elsewhere")
        self._start_again(owner)
        return list(taken.values())

    def _owners(self) -> list[Worker | None]:
        return [self.crew.owner_of(account.account_id) for account in self.cast.accounts]

    def _states(self) -> dict[str, AccountState]:
        return {state.phone: state for state in self.world.network.accounts().values() if state.phone}

    def _start_again(self, worker: Worker) -> None:
        self.crew.restart(worker)
        self._await(lambda: ports.answers(worker.ports.connector), "a connector that serves")

    @staticmethod
    def _await(found: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while not found():
            if time.monotonic() > deadline:
                raise NotTakenOver(f"{what}: not within {_LIMIT_S:.0f} s")
            time.sleep(_POLL_S)


def _both_ways(cast: Cast) -> Sequence[Sequence[Message]]:
    return cast.all_requests(), cast.all_inbound()


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.chaos.failover")
    parser.add_argument(
        "--rounds", type=int, default=20, help=f"kills, and as many hand-overs, of {_ACCOUNTS} accounts each"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--network", type=NetworkKind, default=NetworkKind.REAL, help="real or simulated")
    options = parser.parse_args()
    try:
        found = measure(options.rounds, options.seed, options.network)
    except (StartFailed, StageFailed, NotTakenOver, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1
    for what, taken in (("killed", found.killed_s), ("handed over", found.handed_over_s)):
        print(f"  {what}: {len(taken)} accounts, median {statistics.median(taken):.1f} s, worst {max(taken):.1f} s")
    for finding in found.findings:
        print(f"  {finding.broken}: {finding.where}: {finding.what}")
    print(f"failover: messages={found.written} findings={len(found.findings)} seed={options.seed}", flush=True)
    return 1 if found.findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
