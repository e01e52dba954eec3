"""What no simulated network or Firestore can be brought to do: refusals and failures that must stay where they belong."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient

from connector.accounts import AccountDocument
from connector.arrival import ArrivalOrder
from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from connector.engine import connect_engine
from connector.flush import Flusher
from connector.gate import Gate
from connector.leases import Claimed, Leases, MayClaim
from connector.pace import Pace
from connector.sending import SendAnswer, SendRequest, Sends
from connector.session import Session
from connector.silence import Silence
from connector.supervisor import Supervisor
from connector.term import Term
from connector.wal import Wal
from core.ids import AccountId, ChatId, WaMessageKey, WorkerId
from core.outbox import Outcome
from core.timing import Timing
from identity.tokens import IdentityTokens

CALL_S = 10.0
ACCOUNT, OTHER = AccountId("odd"), AccountId("sound")


class RefusingEngine:
    """Answers each send with one status."""

    def __init__(self) -> None:
        self.status = grpc.StatusCode.OK

    async def send(self, _request: pb.SendRequest, context: grpc.aio.ServicerContext[Any, Any]) -> pb.SendResponse:
        await context.abort(self.status, "refused")
        raise AssertionError("abort raises")

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        send = grpc.unary_unary_rpc_method_handler(
            self.send,
            request_deserializer=pb.SendRequest.FromString,
            response_serializer=pb.SendResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("threadline.engine.v1.Engine", {"Send": send})


@pytest.fixture
def db() -> AsyncClient:
    """Nothing is asked of it."""
    return AsyncClient(project="demo-edges", credentials=AnonymousCredentials())


@dataclass(frozen=True, kw_only=True)
class Line:
    engine: RefusingEngine
    sends: Sends

    async def send(self) -> SendAnswer:
        return await self.sends.send(
            SendRequest(
                account=ACCOUNT,
                chat=ChatId("40712345678@s.whatsapp.net"),
                key=WaMessageKey("3EB0" + "A1" * 9),
                text="hello",
                not_after=datetime.now(UTC) + timedelta(seconds=CALL_S),
            )
        )


@pytest.fixture
async def line(db: AsyncClient, tmp_path: Path) -> AsyncIterator[Line]:
    servicer, server, socket = RefusingEngine(), grpc.aio.server(), tmp_path / "engine.sock"
    server.add_generic_rpc_handlers((servicer.handler(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    engine = connect_engine(socket, CALL_S)
    term = Term(account=ACCOUNT, worker=WorkerId("w1"), epoch=1, deadline_s=now_s() + 3600)
    account = AccountDocument(db=db, term=term, call_s=CALL_S, update_time=datetime.now(UTC), phone_e164=None)
    session = Session(
        db=db,
        engine=engine,
        wal=Wal(db, CALL_S),
        account=account,
        order=ArrivalOrder(last_received_at=datetime.now(UTC)),
        silence=Silence(least=timedelta(hours=1)),
        look_s=60,
        heartbeat_s=CALL_S,
        call_s=CALL_S,
        opens=Pace(interval_s=0),
        on_connected=lambda _: None,
    )
    session.is_connected = True
    yield Line(
        engine=servicer,
        sends=Sends(
            session=session,
            engine=engine,
            engine_send_s=CALL_S,
            gate=Gate(session=session, timing=Timing(), paces=False),
        ),
    )
    await engine.channel.close(None)
    await server.stop(0)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            SendAnswer(outcome=Outcome.NOT_SENT, reason="engine_invalid_argument"),
        ),
        (grpc.StatusCode.FAILED_PRECONDITION, SendAnswer(outcome=Outcome.NOT_CONNECTED, reason="engine_refused")),
        (grpc.StatusCode.NOT_FOUND, SendAnswer(outcome=Outcome.NOT_CONNECTED, reason="engine_refused")),
        (grpc.StatusCode.INTERNAL, SendAnswer(outcome=Outcome.UNKNOWN, reason="engine_internal")),
    ],
)
async def test_an_engines_refusal_of_a_send_burns_an_attempt_only_where_waiting_would_not_help(
    line: Line, status: grpc.StatusCode, answer: SendAnswer
) -> None:
    line.engine.status = status
    assert await line.send() == answer


@dataclass(frozen=True, kw_only=True)
class BrokenLeases(Leases):
    """One account's claim fails as nobody foresaw."""

    tried: list[AccountId] = field(default_factory=list)

    async def find_free(
        self, known_bad: Collection[AccountId], may_claim: MayClaim = lambda _lease: True
    ) -> list[AccountId]:
        del known_bad, may_claim
        return [ACCOUNT, OTHER]

    async def claim(self, account: AccountId, may_claim: MayClaim = lambda _lease: True) -> Claimed | None:
        del may_claim
        self.tried.append(account)
        if account == ACCOUNT:
            raise RuntimeError("nobody foresaw this")
        return None


async def test_a_claim_that_fails_unexpectedly_ends_nothing_else(
    db: AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    timing = Timing().scaled(0.001)
    leases = BrokenLeases(db=db, worker=WorkerId("w1"), endpoint="http://w1", ttl_s=CALL_S, call_s=CALL_S)
    engine = connect_engine(Path("no-such-engine.sock"), CALL_S)
    async with aiohttp.ClientSession() as http:
        flusher = Flusher(http=http, tokens=IdentityTokens(), url="http://127.0.0.1:1", timing=timing)
        supervisor = Supervisor(
            db=db,
            leases=leases,
            engine=engine,
            wal=Wal(db, CALL_S),
            flusher=flusher,
            timing=timing,
            paces_sends=False,
            max_accounts=500,
        )
        running = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(CALL_S):
            while leases.tried.count(OTHER) < 3:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)
        assert not running.done()
        await supervisor.stop()
        running.cancel()
        await asyncio.wait([running])
    await engine.channel.close(None)
    assert capsys.readouterr().out.count('"crashed"') == 1, "an account's failure is logged once"
