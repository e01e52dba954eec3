"""python -m local.chaos.rollout [--accounts 100] [--seed 1] [--sigterm-after S]: what a Cloud Run rollout does to the accounts of a shard.

Two instances share one address, in real time, over the simulated network, while people converse. The address leads to the newer one
from the moment at which it is ready. Status 0 only when not a message was lost, came twice or out of order.

`--sigterm-after`: the older instance gets SIGTERM so many seconds after the address was switched, and SIGKILL 10 s later, as Cloud Run
does it. Unless it is given, the older instance is ended when it has handed everything over.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from google.cloud.firestore import Client

from core import ids
from core.ids import AccountId, WaMessageKey
from local import firestore_jar, ports
from local.chaos.talk import Message, Talk
from local.faults.cast import Account, Cast, Chat, Inbound, Request
from local.faults.judge import judge
from local.faults.record import Record, take_record
from local.faults.rounds import unsettled, wait_while_it_shrinks
from local.faults.stage import Stage, StageFailed
from local.faults.verdict import Broken, Finding
from local.identity_server import FUNCTIONS_ACCOUNT
from local.network.account import Opening
from local.network.client import Network
from local.ports import HOST
from local.processes import Child, Processes, StartFailed, printed
from local.production import world as production
from local.production.shared_address import Router
from local.production.world import Worker, WorkerPorts, World
from local.project import PYTHONPATH

_BUSY_CHATS, _BUSY_MESSAGES = 20, 10
"""How many chats have more than one message each way. They show whether the order within a chat is kept."""
_PAUSE_S = 0.25
"""The time between two messages, each way."""
_BEFORE_S = 5.0
_SWEEP_INTERVAL_S = 60.0
_STALLED_S = 200.0
_LIMIT_S = 600.0
_KILLED_AFTER_S = 10.0
"""Cloud Run's documentation: SIGKILL comes 10 s after SIGTERM."""
_POLL_S = 0.2


class NotTakenOver(Exception):
    """An account was not connected at the expected instance in time."""


@dataclass(frozen=True, kw_only=True)
class HandedOver:
    """How the older instance ended."""

    within_s: Sequence[float]
    """From SIGTERM until the release of each account that the instance had then."""
    left: int
    """Accounts that the instance still had when it was killed. Their leases run out."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Seconds. For each account, `mute`: from the switch of the address until the newer instance has the session; sends are answered
    `not_owner` meanwhile. For each account, `away`: from the close of the old session to the opening of the new one.
    For each message, `waited` (written during the rollout) and `usual` (written before): from its writing to the wire or to the log."""

    mute_s: Sequence[float]
    away_s: Sequence[float]
    waited_s: Sequence[float]
    usual_s: Sequence[float]
    ended: HandedOver
    written: int
    findings: Sequence[Finding]


def measure(accounts: int, seed: int, *, sigterm_after_s: float | None = None) -> Rollout:
    """Raises StartFailed, StageFailed and NotTakenOver."""
    with Processes(purpose="rollout") as processes:
        address, control = ports.free_port(), ports.free_port()
        url = f"http://{HOST}:{address}"
        world = production.start(
            processes,
            gates=False,
            environment={"CONNECTOR_ENDPOINTS": url},
            connector_environment={"PUBLIC_ENDPOINT": url},
        )
        router = _start_router(processes, world, address, control)
        production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=1.0)
        with closing(world.client()) as db:
            return _Rollout(world=world, db=db, cast=make_cast(accounts), router=router, seed=seed).play(
                sigterm_after_s
            )


def _start_router(processes: Processes, world: World, port: int, control: int) -> Router:
    command = [sys.executable, "-m", "local.production.shared_address", "--instance", _origin(world.workers[0])]
    command += ["--port", str(port), "--control-port", str(control)]
    command += ["--invoker", FUNCTIONS_ACCOUNT, "--certs-url", f"http://{HOST}:{world.ports.identity_certs}/certs"]
    processes.start("address", command, environment={"PYTHONPATH": PYTHONPATH}, ready=printed("ready "))
    return Router(control)


def _origin(worker: Worker) -> str:
    return f"http://{HOST}:{worker.ports.connector}"


@dataclass(frozen=True, kw_only=True)
class _Rollout:
    world: World
    db: Client
    cast: Cast
    router: Router
    seed: int

    def play(self, sigterm_after_s: float | None) -> Rollout:
        stage = Stage(db=self.db, network=self.world.network)
        stage.prepare_linked(self.cast)
        self._await_openings(1)
        talk = Talk(stage=stage, lines=_lines(self.cast, self.seed), pause_s=_PAUSE_S)
        talk.begin()
        time.sleep(_BEFORE_S)
        newer = self._start_newer()
        switched_at = self.router.switch(_origin(newer))
        if sigterm_after_s is not None:
            time.sleep(sigterm_after_s)
            ended = self._end_older()
            self._await_openings(2)
        else:
            self._await_openings(2)
            ended = self._end_older()
        over_at = time.time()
        talk.end()
        wait_while_it_shrinks(lambda: unsettled(self.world, self.db, self.cast), _STALLED_S)
        record = take_record(self.world, self.db, self.cast)
        before, after = self._openings(1), self._openings(2)
        waits = _waits(talk.written_at, record)
        return Rollout(
            mute_s=[after[account].opened_at - switched_at for account in after],
            away_s=[after[account].opened_at - (before[account].ended_at or 0.0) for account in after],
            waited_s=[wait for at, wait in waits if switched_at <= at < over_at],
            usual_s=[wait for at, wait in waits if at < switched_at],
            ended=ended,
            written=len(self.cast.all_requests()) + len(self.cast.all_inbound()),
            findings=self._findings(record),
        )

    def _start_newer(self) -> Worker:
        older, own = self.world.workers[0], WorkerPorts()
        environment = {**older.environment, "PORT": str(own.connector)}
        newer = replace(older, name="connector-newer", ports=own, environment=environment)
        production.spawn_worker(self.world.processes, newer)
        return newer

    def _end_older(self) -> HandedOver:
        """SIGTERM, and SIGKILL when its time is over."""
        child = self.world.workers[0].child
        owned = _owned(child)
        began, limit = time.time(), time.monotonic() + _KILLED_AFTER_S
        child.process.terminate()
        while child.is_running and time.monotonic() < limit:
            time.sleep(_POLL_S / 10)
        self.world.processes.kill(child)
        released = {account: at for account, at in _logged(child, "lease_released").items() if account in owned}
        return HandedOver(
            within_s=[at - began for at in released.values() if at >= began],
            left=len(owned) - len(released),
        )

    def _findings(self, record: Record) -> list[Finding]:
        verdict = judge(self.cast, record, chaos=True)
        findings = list(verdict.findings)
        if verdict.uncertain:
            what = f"{verdict.uncertain} ended without anybody knowing of them"
            findings.append(Finding(broken=Broken.LOST, where="requests", what=what))
        return findings

    def _openings(self, epoch: int) -> dict[str, Opening]:
        return {each.account_id: each for each in self.world.network.openings() if each.epoch == epoch}

    def _await_openings(self, epoch: int) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while len(self._openings(epoch)) < len(self.cast.accounts) or not _all_connected(self.world.network):
            if time.monotonic() > deadline:
                raise NotTakenOver(f"not all accounts were connected in term {epoch} within {_LIMIT_S:.0f} s")
            time.sleep(_POLL_S)


def make_cast(accounts: int) -> Cast:
    made = [Account(account_id=AccountId(f"roll-{i}"), phone=f"+4074{i:07d}") for i in range(accounts)]
    numbers = [_BUSY_MESSAGES if i < _BUSY_CHATS else 1 for i in range(accounts)]
    chats = [
        Chat(index=i, account=made[i], contact=f"+4084{i:07d}", reads=False, requests=number, inbound=number)
        for i, number in enumerate(numbers)
    ]
    return Cast(accounts=made, chats=chats)


def _lines(cast: Cast, seed: int) -> list[Sequence[Message]]:
    """Each way: of any chat next, in order within each chat."""
    draw = random.Random(seed)
    lines: list[Sequence[Message]] = []
    for messages in (cast.all_requests(), cast.all_inbound()):
        chats = [message.chat for message in messages]
        draw.shuffle(chats)
        rest: dict[int, list[Message]] = {}
        for message in messages:
            rest.setdefault(message.chat.index, []).append(message)
        lines.append([rest[chat.index].pop(0) for chat in chats])
    return lines


def _waits(written_at: Mapping[Message, float], record: Record) -> list[tuple[float, float]]:
    """Of each message: when it was written, and how long it took to the wire or to the log."""
    on_wire: dict[str, float] = {}
    for frame in record.frames:
        on_wire.setdefault(frame.whatsapp_id, frame.recorded_at)
    waits = []
    for message, at in written_at.items():
        if isinstance(message, Request):
            served = on_wire.get(str(message.key))
        else:
            row = record.rows.get(_row_id(message))
            served = row.created_at.timestamp() if row is not None else None
        if served is not None:  # what was never served is the judge's finding
            waits.append((at, served - at))
    return waits


def _row_id(message: Inbound) -> str:
    return ids.event_id(message.chat.thread_id, WaMessageKey(f"{message.whatsapp_id}-in"))


def _all_connected(network: Network) -> bool:
    return all(state.is_connected for state in network.accounts().values())


def _owned(child: Child) -> set[str]:
    """Accounts that the instance has claimed and not released."""
    return _logged(child, "lease_claimed").keys() - _logged(child, "lease_released").keys()


def _logged(child: Child, event: str) -> dict[str, float]:
    """By account, when the instance said so last, in seconds since 1970."""
    lines = (json.loads(line) for line in child.log_text().splitlines() if line.startswith("{"))
    return {
        line["accountId"]: datetime.fromisoformat(line["time"]).timestamp() for line in lines if line["event"] == event
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.chaos.rollout")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sigterm-after", type=float, help="seconds from the switch to the older instance's SIGTERM")
    options = parser.parse_args()
    try:
        found = measure(options.accounts, options.seed, sigterm_after_s=options.sigterm_after)
    except (StartFailed, StageFailed, NotTakenOver, firestore_jar.NotFound) as problem:
        print(problem, file=sys.stderr)
        return 1
    rows: Sequence[tuple[str, Sequence[float]]] = (
        ("mute for sends, from the switch of the address", found.mute_s),
        ("away, between the two sessions", found.away_s),
        ("a message written meanwhile waited", found.waited_s),
        ("a message written before waited", found.usual_s),
        ("given back after SIGTERM", found.ended.within_s),
    )
    for what, taken in rows:
        if taken:
            print(f"  {what}: {len(taken)}, median {statistics.median(taken):.2f} s, worst {max(taken):.2f} s")
    print(f"  left when the older instance was killed: {found.ended.left}")
    for finding in found.findings:
        print(f"  {finding.broken}: {finding.where}: {finding.what}")
    print(f"rollout: accounts={options.accounts} messages={found.written} findings={len(found.findings)}", flush=True)
    return 1 if found.findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
