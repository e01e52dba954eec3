"""Everything that an owner does looks at its term first: over, it asks nothing of the engine and nothing of Firestore."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient

from connector import metrics
from connector.accounts import AccountDocument
from connector.alerts import raise_alert
from connector.arrival import ArrivalOrder
from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from connector.engine import Engine, connect_engine
from connector.gate import Gate
from connector.intake import Intake, Progress
from connector.leases import HeldLease
from connector.pace import Pace
from connector.sending import NOT_OWNER, SendRequest, Sends
from connector.session import Session
from connector.silence import Silence
from connector.term import Term, TermLost
from connector.wal import Wal
from core.account import CommandKind, new_command
from core.alert import Alert
from core.errors import ErrorCode
from core.ids import AccountId, ChatId, WaMessageKey, WorkerId
from core.timing import Timing

CALL_S = 10.0
ACCOUNT = AccountId("shop")
EVENT = pb.Event(
    sequence=1, message=pb.MessageReceived(whatsapp_id="3A0A", chat_jid="40712345678@s.whatsapp.net", text="hello")
)


@dataclass
class NotingEngine(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # of any call
    """Notes which calls are made, and knows none but Send."""

    calls: list[str] = field(default_factory=list)
    not_after: list[datetime] = field(default_factory=list)
    """Of the sends."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        call = details.method.rpartition("/")[2]
        self.calls.append(call)
        if call != "Send":
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.send, pb.SendRequest.FromString, lambda answer: answer.SerializeToString()
        )

    async def send(self, request: pb.SendRequest, _context: object) -> pb.SendResponse:
        self.not_after.append(datetime.fromtimestamp(request.not_after_unix_ms / 1000, UTC))
        return pb.SendResponse(outcome=pb.SendResponse.SENT)


@dataclass(frozen=True, kw_only=True)
class Former:
    """Somebody who owned the account until a moment ago."""

    db: AsyncClient
    noting: NotingEngine
    engine: Engine
    term: Term
    account: AccountDocument
    held: HeldLease
    session: Session
    intake: Intake

    async def acknowledge(self) -> None:
        """What became durable while the term lasted."""
        await self.intake.pass_over(EVENT)
        await self.intake.acknowledge()


@pytest.fixture
async def former(tmp_path: Path) -> AsyncIterator[Former]:
    noting, server, socket = NotingEngine(), grpc.aio.server(), tmp_path / "sock"
    server.add_generic_rpc_handlers((noting,))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    engine, now = connect_engine(socket, CALL_S), datetime.now(UTC)
    db = AsyncClient(project="demo-over-terms", credentials=AnonymousCredentials())
    term = Term(account=ACCOUNT, worker=WorkerId("w1"), epoch=1, deadline_s=now_s())
    account = AccountDocument(db=db, term=term, call_s=CALL_S, update_time=now, phone_e164=None)
    wal, order = Wal(db, CALL_S), ArrivalOrder(last_received_at=now)
    session = Session(
        db=db,
        engine=engine,
        wal=wal,
        account=account,
        order=order,
        silence=Silence(least=timedelta(hours=1)),
        look_s=60,
        heartbeat_s=0.01,
        call_s=CALL_S,
        opens=Pace(interval_s=0),
        on_connected=lambda _: None,
    )
    yield Former(
        db=db,
        noting=noting,
        engine=engine,
        term=term,
        account=account,
        held=HeldLease(db=db, term=term, ttl_s=CALL_S, call_s=CALL_S, update_time=now),
        session=session,
        intake=Intake(term=term, engine=engine, wal=wal, order=order, progress=Progress(), share=wal.memory.share()),
    )
    await engine.channel.close(None)
    await server.stop(0)


DEEDS: dict[str, Callable[[Former], Awaitable[object]]] = {
    "opens the session": lambda former: former.session.run(),
    "pairs": lambda former: former.session.carry_out(new_command(CommandKind.PAIR_QR)),
    "logs out": lambda former: former.session.carry_out(new_command(CommandKind.LOGOUT)),
    "takes an event": lambda former: former.intake.take(EVENT),
    "acknowledges": lambda former: former.acknowledge(),
    "writes the account": lambda former: former.account.write({"status": "connected"}),
    "reads the lease": lambda former: former.held.read(),
    "renews the lease": lambda former: former.held.renew(),
    "gives the lease back": lambda former: former.held.release(),
    "raises an alert": lambda former: raise_alert(
        former.db, former.term, Alert(code=ErrorCode.BANNED, cause=ACCOUNT, message="", account_id=ACCOUNT), CALL_S
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
async def test_an_owner_whose_term_is_over_does_nothing_any_more(former: Former, deed: str) -> None:
    lost: list[BaseException] = []
    async with asyncio.timeout(CALL_S):
        try:
            await DEEDS[deed](former)
        except* TermLost as group:
            lost += group.exceptions
    assert lost
    assert former.noting.calls == []


def sends_of(owner: Former) -> Sends:
    owner.session.is_connected = True
    gate = Gate(session=owner.session, timing=Timing(), paces=False)
    return Sends(session=owner.session, engine=owner.engine, engine_send_s=CALL_S, gate=gate)


def send_within(seconds: float) -> SendRequest:
    return SendRequest(
        account=ACCOUNT,
        chat=ChatId("40712345678@s.whatsapp.net"),
        key=WaMessageKey("3EB0" + "A1" * 9),
        text="hello",
        not_after=datetime.now(UTC) + timedelta(seconds=seconds),
    )


async def test_a_send_after_the_term_is_answered_as_by_any_other_worker(former: Former) -> None:
    assert await sends_of(former).send(send_within(60)) == NOT_OWNER
    assert former.noting.calls == []


async def test_the_engine_puts_nothing_on_the_wire_after_the_term_nor_after_what_the_request_says(
    former: Former,
) -> None:
    former.term.deadline_s = now_s() + 30
    sends, term_ends = sends_of(former), datetime.now(UTC) + timedelta(seconds=30)
    await sends.send(send_within(60))
    short = send_within(10)
    await sends.send(replace(short, key=WaMessageKey("3EB0" + "A2" * 9)))
    by_the_term, by_the_request = former.noting.not_after
    assert by_the_term <= term_ends
    assert by_the_request <= short.not_after


def test_a_renewal_that_is_answered_after_the_deadline_does_not_revive_the_term() -> None:
    """Another may own the account by then, and what the engine was told of this term is over."""
    term = Term(account=ACCOUNT, worker=WorkerId("w1"), epoch=1, deadline_s=now_s())
    with pytest.raises(TermLost):
        term.extend(now_s() + 60)
    assert not term.is_live()


async def test_what_a_stream_leaves_unacknowledged_is_not_counted_any_more_when_it_is_over(former: Former) -> None:
    """It comes again, and counts then. The count is the process's: the streams of other tests may have left theirs."""

    def unacknowledged() -> float:
        (line,) = (
            line for line in metrics.exposition().splitlines() if line.startswith(b"connector_events_unacknowledged ")
        )
        return float(line.split()[1])

    before = unacknowledged()
    await former.intake.pass_over(EVENT)
    assert unacknowledged() == before + 1
    former.intake.withdraw()
    assert unacknowledged() == before


def test_the_engine_is_told_an_end_that_is_never_later_than_the_deadline() -> None:
    def term(deadline_s: float) -> Term:
        return Term(account=ACCOUNT, worker=WorkerId("w1"), epoch=1, deadline_s=deadline_s)

    assert term(12.3459).ends_ms() == 12345
    assert 10**11 < term(float("inf")).ends_ms() < 2**63 // 10**6, "Go counts nanoseconds"
