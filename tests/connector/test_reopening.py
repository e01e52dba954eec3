"""A stream that breaks is opened again: ever later while the new one breaks at once, too, and quickly after one that has lived."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.firestore import AsyncClient

from connector import session as session_module
from connector.arrival import ArrivalOrder
from connector.contract import engine_pb2 as pb
from connector.engine import Engine, EngineFailed, connect_engine
from connector.leases import Leases
from connector.pace import Pace
from connector.session import Session
from connector.silence import Silence
from connector.term import Term
from connector.wal import Wal
from core import schema
from core.account import new_account_document, new_lease_document
from core.ids import AccountId, WorkerId

PATIENCE_S = 30.0
CALL_S = 10.0
FIRST_S = 0.2
_accounts = (AccountId(f"shop-{number}") for number in itertools.count(1))


@dataclass
class BreakingEngine:
    """Opens each session, whose stream breaks at once: as one does whose store can be read and not be written."""

    lives_s: list[float] = field(default_factory=list)
    """Of the next streams; those that follow break at once."""
    opened_at_s: list[float] = field(default_factory=list)
    ended_at_s: list[float] = field(default_factory=list)

    async def open(self, _request: pb.OpenRequest, _context: object) -> pb.OpenResponse:
        self.opened_at_s.append(time.monotonic())
        return pb.OpenResponse(paired=True)

    async def events(self, _request: pb.EventsRequest, context: Any) -> AsyncIterator[pb.Event]:
        if self.lives_s:
            await asyncio.sleep(self.lives_s.pop(0))
        self.ended_at_s.append(time.monotonic())
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the store cannot be written")
        yield pb.Event()

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        def answered(answer: Any) -> bytes:
            serialized: bytes = answer.SerializeToString()
            return serialized

        methods = {
            "Open": grpc.unary_unary_rpc_method_handler(self.open, pb.OpenRequest.FromString, answered),
            "Events": grpc.unary_stream_rpc_method_handler(self.events, pb.EventsRequest.FromString, answered),
        }
        return grpc.method_handlers_generic_handler("threadline.engine.v1.Engine", methods)

    async def until_opened(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.opened_at_s) < times:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)


@dataclass
class Opened:
    """A session that is kept open on a breaking engine."""

    breaking: BreakingEngine
    running: asyncio.Task[None]


@pytest.fixture
async def opened(firestore_emulator: str, tmp_path: Path) -> AsyncIterator[Opened]:
    breaking, server, socket = BreakingEngine(), grpc.aio.server(), tmp_path / "sock"
    server.add_generic_rpc_handlers((breaking.handler(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    engine, db, account = connect_engine(socket, CALL_S), AsyncClient(project="demo-reopening"), next(_accounts)
    now = datetime.now(UTC)
    await db.collection(schema.ACCOUNTS).document(account).create(new_account_document(account, "Shop"))
    await db.collection(schema.LEASES).document(account).create(new_lease_document(now))
    leases = Leases(db=db, worker=WorkerId("w1"), endpoint="http://w1", ttl_s=600.0, call_s=CALL_S)
    claimed = await leases.claim(account)
    assert claimed is not None
    session = Session(
        db=db,
        engine=engine,
        wal=Wal(db, CALL_S),
        account=claimed.account,
        order=ArrivalOrder(last_received_at=now),
        silence=Silence(least=timedelta(hours=1)),
        look_s=60,
        heartbeat_s=60,
        call_s=CALL_S,
        opens=Pace(interval_s=0),
        on_connected=lambda _: None,
    )
    running = asyncio.create_task(session.run())
    yield Opened(breaking=breaking, running=running)
    running.cancel()
    await asyncio.wait({running})
    await engine.channel.close(None)
    await server.stop(0)


@pytest.fixture
def breaking(opened: Opened) -> BreakingEngine:
    return opened.breaking


async def test_a_session_whose_stream_breaks_at_once_each_time_is_opened_ever_later(breaking: BreakingEngine) -> None:
    await breaking.until_opened(5)
    assert breaking.opened_at_s[4] - breaking.ended_at_s[3] >= FIRST_S * 8 / 2, "doubled three times"


async def test_a_session_that_lived_long_is_opened_again_quickly(
    breaking: BreakingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the delays had become before."""
    monkeypatch.setattr(session_module, "_REOPEN_MAX_S", 2.0)
    breaking.lives_s += [0.0, 0.0, 0.0, 0.0, 2.2]
    await breaking.until_opened(6)
    assert breaking.opened_at_s[5] - breaking.ended_at_s[4] < 2.0 / 2, "sooner than the longest delay would let it"


async def test_a_session_that_is_cancelled_as_its_stream_breaks_ends(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def events(_engine: Engine, _term: Term) -> AsyncIterator[pb.Event]:
        opened.running.cancel()
        raise EngineFailed("UNAVAILABLE")
        yield pb.Event()

    monkeypatch.setattr(Engine, "events", events)
    await asyncio.wait({opened.running}, timeout=PATIENCE_S)
    assert opened.running.cancelled()
