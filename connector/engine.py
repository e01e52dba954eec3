"""The engine as the connector calls it: each call with its session's epoch and a deadline, gRPC's errors told apart."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from connector.contract import engine_pb2 as pb
from connector.contract.engine_pb2_grpc import EngineStub
from connector.term import Term

if TYPE_CHECKING:
    from connector.contract.engine_pb2_grpc import EngineAsyncStub  # stands in the type stub alone

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # an event that is too long would come again for ever
    # gRPC would widen each stream's window (64 KiB) to megabytes, for a long way to the server: 500 streams that wait would fill them.
    ("grpc.http2.bdp_probe", 0),
    # It is on this machine: a look costs nothing, and sessions wait for it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]
_REACH_S = 1.0
CONTRACT = 3
"""The version of engine.proto that this code speaks."""
_CONTRACT_WITHOUT_HELLO = 1


class EngineFailed(Exception):
    """The call broke: what it asked for may have been done or not. `status` is gRPC's, `detail` the engine's own words, which quote
    nothing."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail


class EngineRefused(EngineFailed):
    """Proven not done: the epoch is stale, or the session is in no state for it."""


class SessionNotOpen(EngineRefused):
    """Proven not done: the engine does not hold the session."""


class CallMalformed(EngineRefused):
    """Proven not done: the engine takes no such request, however often it is made."""


class CallUnknown(EngineRefused):
    """Proven not done: the engine speaks a version of the contract that has no such call."""


@dataclass(kw_only=True)
class Engine:
    channel: grpc.aio.Channel
    stub: "EngineAsyncStub"
    call_s: float
    version: str = field(default="", init=False)
    """The version of whatsmeow that the engine reported last; empty if it reported none."""
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear while the engine is not known to answer and to speak this contract's version: nothing is opened then."""

    async def hello(self, limit_s: float) -> int:
        """The version of the contract that the engine speaks, as soon as it can be reached."""
        try:
            return (await self.greeting(limit_s)).contract
        except CallUnknown:
            return _CONTRACT_WITHOUT_HELLO

    async def greeting(self, limit_s: float) -> pb.HelloResponse:
        """The engine's versions, as soon as the engine can be reached. Raises CallUnknown for an engine of version 1."""
        with _translated():
            request = pb.HelloRequest(contract=CONTRACT)
            greeting = await self.stub.Hello(request, timeout=limit_s, wait_for_ready=True)
        self.version = greeting.whatsmeow
        return greeting

    async def check_store(self, limit_s: float) -> pb.CheckStoreResponse:
        """Whether the session store answers the engine. Raises CallUnknown for an older engine."""
        with _translated():
            return await self.stub.CheckStore(pb.CheckStoreRequest(), timeout=limit_s)

    async def open(self, term: Term) -> pb.OpenResponse:
        request = pb.OpenRequest(session=_session(term), term_ends_ms=term.ends_ms(), store_mark=term.store_mark)
        with _translated():
            opened = await self.stub.Open(request, timeout=self.call_s)
        term.note_mark(opened.store_mark)
        return opened

    async def extend(self, term: Term) -> None:
        """Tells the term's end as it is now. Called only when the lease says so: the engine acts until then on its own."""
        request = pb.ExtendRequest(session=_session(term), term_ends_ms=term.ends_ms())
        with _translated():
            term.note_mark((await self.stub.Extend(request, timeout=self.call_s)).store_mark)

    async def close(self, term: Term) -> None:
        with _translated():
            closed = await self.stub.Close(pb.CloseRequest(session=_session(term)), timeout=self.call_s)
        term.note_mark(closed.store_mark)

    async def events(self, term: Term) -> AsyncIterator[pb.Event]:
        """Ends when the session is closed or taken over; raises EngineFailed when the stream breaks."""
        call = self.stub.Events(pb.EventsRequest(session=_session(term)))
        try:
            with _translated():
                async for event in call:
                    yield event
        finally:
            call.cancel()

    async def acknowledge(self, term: Term, sequence: int) -> None:
        request = pb.AcknowledgeRequest(session=_session(term), sequence=sequence)
        with _translated():
            term.note_mark((await self.stub.Acknowledge(request, timeout=self.call_s)).store_mark)

    async def pair(self, term: Term, phone_e164: str | None) -> None:
        request = pb.PairRequest(session=_session(term), phone_e164=phone_e164 or "")
        with _translated():
            await self.stub.Pair(request, timeout=self.call_s)

    async def answer_passkey(self, term: Term, assertion_json: str) -> bool:
        """Whether WhatsApp takes the answer; the pairing has ended where it does not. Raises CallMalformed and EngineRefused with words
        for the person."""
        request = pb.AnswerPasskeyRequest(session=_session(term), assertion_json=assertion_json)
        with _translated():
            answer = await self.stub.AnswerPasskey(request, timeout=self.call_s)
        return bool(answer.result == pb.AnswerPasskeyResponse.TAKEN)

    async def logout(self, term: Term) -> None:
        with _translated():
            await self.stub.Logout(pb.LogoutRequest(session=_session(term)), timeout=self.call_s)

    async def send(
        self, term: Term, *, chat: str, whatsapp_id: str, text: str, not_after_unix_ms: int, timeout_s: float
    ) -> pb.SendResponse:
        request = pb.SendRequest(
            session=_session(term),
            chat_jid=chat,
            whatsapp_id=whatsapp_id,
            text=text,
            not_after_unix_ms=not_after_unix_ms,
        )
        with _translated():
            answer = await self.stub.Send(request, timeout=timeout_s)
        term.note_mark(answer.store_mark)
        return answer

    async def is_on_whatsapp(self, term: Term, phone_e164: str) -> pb.IsOnWhatsAppResponse:
        request = pb.IsOnWhatsAppRequest(session=_session(term), phone_e164=phone_e164)
        with _translated():
            return await self.stub.IsOnWhatsApp(request, timeout=self.call_s)

    async def ping_phone(self, term: Term) -> None:
        with _translated():
            await self.stub.PingPhone(pb.PingPhoneRequest(session=_session(term)), timeout=self.call_s)

    async def mark_read(self, term: Term, *, chat: str, whatsapp_ids: Sequence[str]) -> None:
        """Tells a contact that these messages of theirs were read. Nothing in the product does so yet."""
        request = pb.MarkReadRequest(session=_session(term), chat_jid=chat, whatsapp_ids=whatsapp_ids)
        with _translated():
            await self.stub.MarkRead(request, timeout=self.call_s)

    async def request_history(
        self, term: Term, *, chat: str, whatsapp_id: str, from_me: bool, timestamp_s: int, count: int
    ) -> None:
        """Asks the account's phone for messages of a chat that came before this one."""
        request = pb.RequestHistoryRequest(
            session=_session(term),
            chat_jid=chat,
            whatsapp_id=whatsapp_id,
            from_me=from_me,
            timestamp_s=timestamp_s,
            count=count,
        )
        with _translated():
            await self.stub.RequestHistory(request, timeout=self.call_s)

    async def is_ready(self) -> bool:
        return self.serving.is_set() and await self.is_reachable()

    async def is_reachable(self) -> bool:
        """Whether the channel stands; it is made to, where nobody has used it for a while."""
        try:
            async with asyncio.timeout(_REACH_S):
                while (state := self.channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                    await self.channel.wait_for_state_change(state)
        except TimeoutError:
            return False
        return True

    async def wait_until_lost(self) -> None:
        """Returns when the channel stands to nobody."""
        while (state := self.channel.get_state()) is grpc.ChannelConnectivity.READY:
            await self.channel.wait_for_state_change(state)


def connect_engine(socket: Path, call_s: float) -> Engine:
    """Taken to be serving until somebody knows better."""
    channel = grpc.aio.insecure_channel(f"unix:{socket}", options=_CHANNEL_OPTIONS)
    engine = Engine(channel=channel, stub=EngineStub(channel), call_s=call_s)
    engine.serving.set()
    return engine


def _session(term: Term) -> pb.Session:
    return pb.Session(account_id=term.account, epoch=term.epoch)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        status = error.code().name
        if error.code() is grpc.StatusCode.NOT_FOUND:
            raise SessionNotOpen(status) from error
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise CallMalformed(status, error.details() or "") from error
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            raise CallUnknown(status) from error
        if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
            raise EngineRefused(status, error.details() or "") from error
        raise EngineFailed(status) from error
