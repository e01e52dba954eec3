"""The memory of a full worker while Firestore takes no rows: every account's inbox is full of the longest messages.

The accounts have no device, which saves 500 pairings: the engine hands their inboxes over all the same. What 500 connected sessions take
besides is added.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil

from connector.contract import engine_pb2 as pb
from core.ids import AccountId
from local.bench.figures import Figure, figure
from local.bench.ground import BenchFailed
from local.bench.sessions import ACCOUNTS_A_COMMIT, create
from local.ports import HOST
from local.processes import Processes
from local.production import world as production
from local.production.commits import CommitKind
from local.production.world import CONNECTOR, Worker
from local.whatsapp import NetworkKind

_ACCOUNTS = 500
_MESSAGES = 16
"""An account's: 2 MiB with the wire bytes, so 1 GiB of all accounts, of which the connector must take a part alone."""
_TEXT = "x" * (64 * 1024)
_AIM_MB = 1024
_CONNECTED_MB = 110
"""Of the engine, for 500 sessions that are connected and idle: `python -m local.bench --only engine`, without the 16 MB of an engine that has
none."""
_OUTAGE_S = 30.0
_LIMIT_S = 300.0
_POLL_S = 0.5


def figures() -> Iterator[Figure]:
    """Raises BenchFailed if the aim is missed, or if something is acknowledged to the engine meanwhile."""
    with Processes(purpose="bench-outage") as processes:
        world = production.start(processes, names=("threadlineFlush",), network=NetworkKind.REAL)
        (worker,) = world.workers
        assert world.firestore_gate is not None
        store = Path(worker.environment["ENGINE_STORE"].removeprefix("sqlite:"))
        _await(lambda: _has_tables(store), "the store is not made")
        processes.stop(worker.child)
        accounts = [AccountId(f"outage-{number}") for number in range(_ACCOUNTS)]
        _fill(store, accounts)
        with closing(world.client()) as db:
            for first in range(0, _ACCOUNTS, ACCOUNTS_A_COMMIT):
                create(db, accounts[first : first + ACCOUNTS_A_COMMIT])
        world.firestore_gate.refuse(CONNECTOR, CommitKind.WAL)
        child = production.spawn_worker(processes, worker)
        _await(lambda: _metric(worker, "connector_sessions") == _ACCOUNTS, "the accounts were not claimed")
        time.sleep(_OUTAGE_S)
        held = _metric(worker, "connector_events_unacknowledged_bytes") / 2**20
        connector = psutil.Process(child.process.pid)
        (engine,) = (each for each in connector.children() if "engine" in each.name())
        sizes = {"connector": _memory(connector.pid), "engine": _memory(engine.pid)}
        if (stand := _stand(store)) != _ACCOUNTS * _MESSAGES:
            raise BenchFailed(f"{_ACCOUNTS * _MESSAGES - stand} events were acknowledged that stand nowhere")
    what = f"Firestore takes no rows, {_ACCOUNTS} accounts, {_MESSAGES} messages of 64 KiB each"
    yield figure(f"{what}: rows in memory", held, "MB", None)
    for name, (now, most) in sizes.items():
        yield figure(f"{what}: {name}", now, "MB", None)
        yield figure(f"{what}: {name}, at most", most, "MB", None)
    check_memory(sum(most for _, most in sizes.values()) + _CONNECTED_MB)


def check_memory(most_mb: float) -> None:
    """Of connector and engine together, which share a container. Raises BenchFailed."""
    if most_mb > _AIM_MB:
        raise BenchFailed(f"connector and engine took {most_mb:.0f} MB, and the aim is {_AIM_MB} MB")


def _fill(store: Path, accounts: list[AccountId]) -> None:
    """As the engine would have, with nobody to take its events."""
    with closing(sqlite3.connect(store)) as database:
        for account in accounts:
            rows = [(account, number, _event(number)) for number in range(1, _MESSAGES + 1)]
            database.executemany("INSERT INTO engine_inbox (account_id, sequence, event) VALUES (?, ?, ?)", rows)
        database.commit()


def _has_tables(store: Path) -> bool:
    with closing(sqlite3.connect(store)) as database:
        (made,) = database.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'engine_inbox'").fetchone()
    return int(made) == 1


def _event(number: int) -> bytes:
    message = pb.MessageReceived(
        whatsapp_id=f"3A{number:016X}",
        chat_jid="40799000000@s.whatsapp.net",
        timestamp_s=int(time.time()),
        text=_TEXT,
    )
    return pb.Event(message=message, wire=_TEXT.encode()).SerializeToString()


def _stand(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT COUNT(*) FROM engine_inbox").fetchone()[0])


def _metric(worker: Worker, name: str) -> float:
    try:
        lines = httpx.get(f"http://{HOST}:{worker.ports.connector}/metrics", timeout=10).text.splitlines()
    except httpx.HTTPError:
        return 0.0  # it starts, or is busy
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def _memory(pid: int) -> tuple[float, float]:
    """Resident, now and at most, in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def _await(done: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not done():
        if time.monotonic() > deadline:
            raise BenchFailed(f"{complaint} within {_LIMIT_S:.0f} s")
        time.sleep(_POLL_S)
