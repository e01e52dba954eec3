"""Many messages at once over the real engine, from the contact's pen to the thread: a hot chat, and the day after a day offline."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

from google.cloud.firestore import Client
from google.cloud.firestore_v1.aggregation import AggregationQuery
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from core.ids import AccountId
from local.bench.figures import Figure, figure
from local.bench.ground import BenchFailed
from local.chaos.wire import wire_findings
from local.faults.cast import Account, Cast, Chat
from local.faults.judge import judge
from local.faults.record import take_record
from local.faults.stage import Stage
from local.processes import Processes
from local.production import world as production
from local.production.world import World
from local.whatsapp import NetworkKind

_HOT = 500
_REPEATED_AT_MOST = 0.01
"""Of the messages. An event may come twice, since Firestore promises no more than once at least; none was seen to."""
_CHATS, _A_CHAT = 50, 100
_LIMIT_S = 300.0
_POLL_S = 0.2


def figures() -> Iterator[Figure]:
    with Processes(purpose="bench-backlogs") as processes:
        world = production.start(processes, gates=False, network=NetworkKind.REAL)
        with closing(world.client()) as db:
            yield from _hot_chat(world, db)
            yield from _day_offline(processes, world, db)


def _hot_chat(world: World, db: Client) -> Iterator[Figure]:
    """All written while the session is connected, as fast as one contact can."""
    cast = _cast(1, "hot", [_HOT])
    stage = Stage(db=db, network=world.network)
    stage.prepare(cast)
    yield from _measured(world, db, cast, f"real engine, {_HOT} at once in a chat", lambda: _write(stage, cast))


def _day_offline(processes: Processes, world: World, db: Client) -> Iterator[Figure]:
    """Written while no connector runs; measured from the connector's start."""
    cast = _cast(2, "offline", [_A_CHAT] * _CHATS)
    stage = Stage(db=db, network=world.network)
    stage.prepare(cast)
    assert world.connector is not None
    processes.stop(world.connector)
    _write(stage, cast)
    what = f"real engine, {_CHATS * _A_CHAT} after a day offline"
    yield from _measured(world, db, cast, what, lambda: production.spawn_worker(processes, world.workers[0]))


def _measured(world: World, db: Client, cast: Cast, what: str, begin: Callable[[], object]) -> Iterator[Figure]:
    """Rows and messages a second, from the beginning on, and what it took: how many invocations failed, and how many there were
    beyond the one that each row's event makes. Raises BenchFailed unless all of it is right."""
    messages, before = len(cast.all_inbound()), world.cloud.counters()
    reconnects_before = _reconnects(db, cast)

    def invoked() -> int:
        return world.cloud.counters().get("invoked_threadlineOnIngest", 0) - before.get("invoked_threadlineOnIngest", 0)

    began = time.monotonic()
    begin()
    _await(lambda: _count(db, cast, schema.INGEST) >= messages, f"{what}: rows")
    logged_s = time.monotonic() - began
    _await(lambda: _count(db, cast, schema.MESSAGES) >= messages and not world.cloud.counters()["under_way"], what)
    taken_s = time.monotonic() - began
    # An invocation takes up its chat's waiting rows together, so the thread may be whole before the emulator has told of the last rows.
    _await(lambda: invoked() >= messages and not world.cloud.counters()["under_way"], f"{what}: an event a row")
    findings = [
        *judge(cast, take_record(world, db, cast)).findings,
        *wire_findings(world.ports.network_control),
    ]
    if findings:
        raise BenchFailed(f"{what}: {len(findings)} findings, the first: {findings[0].where}: {findings[0].what}")
    after = world.cloud.counters()
    failed = _failed(after) - _failed(before)
    if failed:
        raise BenchFailed(f"{what}: {failed} invocations failed")
    reconnects = _reconnects(db, cast) - reconnects_before
    if reconnects:
        raise BenchFailed(f"{what}: the session was lost {reconnects} times, and nobody disturbed it")
    repeated = invoked() - messages
    check_repeated(what, repeated, messages)
    yield figure(f"{what}: in the log", messages / logged_s, "1/s", None)
    yield figure(f"{what}: in the thread", messages / taken_s, "1/s", None)
    yield figure(f"{what}: failed", failed, "invocations", None)
    yield figure(f"{what}: repeated", repeated, "invocations", None)


def check_repeated(what: str, repeated: int, messages: int) -> None:
    """Raises BenchFailed."""
    if repeated > messages * _REPEATED_AT_MOST:
        raise BenchFailed(f"{what}: {repeated} invocations more than the {messages} that its rows make")


def _cast(number: int, name: str, messages: Sequence[int]) -> Cast:
    """Contacts who write, and nobody who answers."""
    account = Account(account_id=AccountId(name), phone=f"+4070900010{number}")
    return Cast(
        accounts=[account],
        chats=[
            Chat(index=i, account=account, contact=f"+40809{number}{i:04d}", reads=False, requests=0, inbound=count)
            for i, count in enumerate(messages, start=1)
        ],
    )


def _write(stage: Stage, cast: Cast) -> None:
    """By turns over the chats, in order within each."""
    for inbound in sorted(cast.all_inbound(), key=lambda message: message.place):
        stage.write_one(inbound)


def _count(db: Client, cast: Cast, collection: str) -> int:
    of_account = FieldFilter("accountId", "==", cast.accounts[0].account_id)
    counting = AggregationQuery(db.collection(collection).where(filter=of_account)).count(alias="all")
    return sum(int(result.value) for results in counting.get() for result in results)


def _reconnects(db: Client, cast: Cast) -> int:
    account = db.collection(schema.ACCOUNTS).document(cast.accounts[0].account_id).get().to_dict() or {}
    return int(account["reconnectCount"])


def _failed(counters: Mapping[str, int]) -> int:
    return sum(
        n for name, n in counters.items() if name.startswith("answered_") and not name.endswith(("_200", "_204"))
    )


def _await(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not done():
        if time.monotonic() > deadline:
            raise BenchFailed(f"{what} did not stand after {_LIMIT_S:.0f} s")
        time.sleep(_POLL_S)
