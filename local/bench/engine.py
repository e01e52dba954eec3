"""The engine against the wire-level server, each in a process of its own: starting, many sessions, sends, events."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connector.arrival import ArrivalOrder
from connector.clock import now_s
from connector.engine import Engine
from connector.event_budget import DEFAULT_MEMORY_BYTES, EventBudget
from connector.events import WalRow
from connector.intake import Intake, Progress
from connector.term import Term
from connector.wal import Wal
from core.ids import AccountId, WorkerId
from local import ports, whatsapp
from local.bench.figures import Figure, figure
from local.network.client import Network
from local.processes import Processes
from local.whatsapp import NetworkKind
from tests.engine.running import Account, RunningEngine, State

_STARTS = 10
_SESSIONS = 500
_RATE_ACCOUNTS = 40
_RATE_MESSAGES = 4000
_SINGLES = 60
_PAIRED_AT_ONCE = 4
_LIMIT_S = 120.0
_TERM_S = 600.0
_CONTACT = "+40799000000"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """`accounts` are paired, and kept in the engine's store."""

    network: Network
    environment: dict[str, str]
    store: Path
    accounts: Sequence[str]

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[RunningEngine]:
        async with RunningEngine(store=f"sqlite:{self.store}", environment=self.environment) as engine:
            yield engine
            await engine.stop()


def figures() -> Iterator[Figure]:
    with Processes(purpose="bench-engine") as processes:
        one = _ground(processes, "one", 1)
        yield from asyncio.run(_starts(one))
        yield from asyncio.run(_singles(one))
        yield from asyncio.run(_rate(_ground(processes, "forty", _RATE_ACCOUNTS)))
        yield from asyncio.run(_many(_ground(processes, "many", _SESSIONS)))


def _ground(processes: Processes, name: str, accounts: int) -> Ground:
    """A server of its own, and a store with so many paired accounts."""
    control_port = ports.free_port()
    stand_in = whatsapp.spawn(processes, NetworkKind.REAL, control_port=control_port, scale={}, name=f"network-{name}")
    settings = stand_in.connector_environment(processes)
    ground = Ground(
        network=Network(control_port),
        environment={key: value for key, value in settings.items() if key.startswith("WIRE_")},
        store=processes.folder / f"{name}.db",
        accounts=[f"+4071{number:07d}" for number in range(accounts)],
    )
    ground.network.add_contact(_CONTACT, "Ana")
    asyncio.run(_pair(ground))
    return ground


async def _pair(ground: Ground) -> None:
    turn = asyncio.Semaphore(_PAIRED_AT_ONCE)

    async def pair(engine: RunningEngine, phone: str) -> None:
        async with turn:
            account = engine.account(phone.removeprefix("+"))
            await account.open()
            code = await account.pair()
            await asyncio.to_thread(ground.network.scan, phone, code.qr)
            await account.connected()
            await account.leave()

    async with ground.engine() as engine, asyncio.TaskGroup() as tasks:
        for phone in ground.accounts:
            tasks.create_task(pair(engine, phone))


async def _starts(ground: Ground) -> list[Figure]:
    """From starting the process to CONNECTED, one account."""
    taken = []
    for _ in range(_STARTS):
        async with ground.engine() as engine:
            account = await _opened(engine, ground.accounts[0])
            await account.connected()
            taken.append((time.monotonic() - engine.started_at) * 1000)
            await account.leave()
    return [figure("engine: start to connected, one account, median", statistics.median(taken), "ms", None)]


async def _singles(ground: Ground) -> list[Figure]:
    phone, jid = ground.accounts[0], f"{_CONTACT.removeprefix('+')}@s.whatsapp.net"
    async with ground.engine() as engine:
        account = await _opened(engine, phone)
        await account.connected()
        await account.send(jid, "3EB0WARMUP", "warm up")  # its session with the contact is made here
        began: dict[str, float] = {}
        for number in range(_SINGLES):
            whatsapp_id = f"3EB0BENCH{number:06d}"
            began[whatsapp_id] = time.time()
            await account.send(jid, whatsapp_id, "a text of usual length")
        frames = {frame.whatsapp_id: frame.recorded_at for frame in await asyncio.to_thread(ground.network.frames)}
        sends = [(frames[whatsapp_id] - at) * 1000 for whatsapp_id, at in began.items()]
        acknowledged = [await _received(ground, account, number) for number in range(_SINGLES)]
        await account.leave()
    return [
        *_percentiles("engine: send call to the server's frame", sends),
        *_percentiles("engine: contact writes to acknowledged, stub committer", acknowledged),
    ]


async def _received(ground: Ground, account: Account, number: int) -> float:
    """Milliseconds from the request to the server to the acknowledgement's answer; the request itself is part of it."""
    text = f"in {number}"
    began = time.monotonic()
    await asyncio.to_thread(ground.network.write, _CONTACT, ground.accounts[0], text)
    await account.until_message(text)
    event = next(event for event in account.events if event.message.text == text)
    await account.acknowledge(event.sequence)
    return (time.monotonic() - began) * 1000


async def _rate(ground: Ground) -> list[Figure]:
    """What waited while the engine was away, over many accounts, until the connector's own intake has acknowledged all of it."""
    for number in range(_RATE_MESSAGES):
        phone = ground.accounts[number % len(ground.accounts)]
        await asyncio.to_thread(ground.network.write, _CONTACT, phone, f"m{number}")
    each = _RATE_MESSAGES // len(ground.accounts)
    async with ground.engine() as running, asyncio.TaskGroup() as tasks:
        engine = Engine(channel=running.channel, stub=running.stub, call_s=_LIMIT_S)
        began = time.monotonic()
        taking = [tasks.create_task(_take_in(engine, phone, each)) for phone in ground.accounts]
        await asyncio.wait(taking, timeout=_LIMIT_S)
        taken = time.monotonic() - began
    what = f"engine: {_RATE_MESSAGES} messages over {len(ground.accounts)} accounts, stub committer"
    return [figure(what, _RATE_MESSAGES / taken, "1/s", None)]


async def _take_in(engine: Engine, phone: str, messages: int) -> None:
    account = AccountId(phone.removeprefix("+"))
    term = Term(account=account, worker=WorkerId("bench"), epoch=1, deadline_s=now_s() + _TERM_S)
    await engine.open(term)
    order = ArrivalOrder(last_received_at=datetime.now(UTC))
    wal = _StubCommitter()
    intake = Intake(term=term, engine=engine, wal=wal, order=order, progress=Progress(), share=wal.memory.share())
    acknowledging = asyncio.create_task(intake.acknowledge())
    async for event in engine.events(term):
        messages -= event.WhichOneof("kind") == "message"
        if event.sequence:
            await intake.take(event)
        if not messages:
            break
    await intake.drained()
    acknowledging.cancel()


class _StubCommitter(Wal):
    """In place of Firestore: a row stands as soon as it is submitted."""

    def __init__(self) -> None:
        self.memory = EventBudget(total_bytes=DEFAULT_MEMORY_BYTES)

    def submit(self, term: Term, rows: Sequence[WalRow]) -> asyncio.Future[None]:  # noqa: ARG002 # the log's own
        written = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written


async def _many(ground: Ground) -> list[Figure]:
    async with ground.engine() as engine:
        began = time.monotonic()
        accounts = [await _opened(engine, phone) for phone in ground.accounts]
        for account in accounts:
            await account.until_state(State.CONNECTED, within_s=_LIMIT_S)
        taken = time.monotonic() - began
        await asyncio.sleep(5.0)  # what starting has used is given back
        held = _resident_mb(engine.pid)
        for account in accounts:
            await account.leave()
    what = f"engine: {len(accounts)} sessions"
    return [figure(f"{what}, all connected", taken, "s", None), figure(f"{what}, memory", held, "MB", None)]


async def _opened(engine: RunningEngine, phone: str) -> Account:
    account = engine.account(phone.removeprefix("+"))
    await account.open()
    return account


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _percentiles(what: str, values: Sequence[float]) -> list[Figure]:
    ordered = sorted(values)
    return [
        figure(f"{what}, p50", ordered[len(ordered) // 2], "ms", None),
        figure(f"{what}, p95", ordered[int(len(ordered) * 0.95)], "ms", None),
    ]
