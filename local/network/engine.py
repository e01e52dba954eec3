"""The engine contract (engine.proto) over the simulated network."""

# ruff: noqa: N802 - the methods bear the contract's names

import asyncio
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from connector.contract import engine_pb2 as pb
from connector.contract.engine_pb2_grpc import EngineServicer
from connector.engine import CONTRACT
from core.ids import InvalidId, phone_e164
from local.network.account import Account
from local.network.code_display import CodeDisplay
from local.network.contacts import lid_of
from local.network.sending import Send, Sender
from local.network.world import World
from local.refusals import Malformed, NotPossible, Refused, Unknown

Context = grpc.aio.ServicerContext[Any, Any]

_DIRECT_CHAT = re.compile(r"[0-9]{5,32}@(s\.whatsapp\.net|lid)")
_CHAT = re.compile(_DIRECT_CHAT.pattern + r"|[0-9-]{5,64}@g\.us")
_MOST_HISTORY = 200
_ANSWER_MARGIN_S = 0.3
_NO_PERSON = "chat_jid must be a person's number or LID"

_STATUS: dict[type[Refused], grpc.StatusCode] = {
    Malformed: grpc.StatusCode.INVALID_ARGUMENT,
    Unknown: grpc.StatusCode.NOT_FOUND,
    NotPossible: grpc.StatusCode.FAILED_PRECONDITION,
}


class SimulatedEngine(EngineServicer):
    """Serves any number of connectors: what tells them apart is the epoch of their sessions."""

    def __init__(self, world: World, sender: Sender, codes: CodeDisplay) -> None:
        self._world = world
        self._sender = sender
        self._codes = codes
        self._looks: dict[Account, asyncio.TimerHandle] = {}
        """When a session is looked at next: its owner's term may be over then."""

    async def Hello(self, _request: pb.HelloRequest, _context: Context) -> pb.HelloResponse:
        return pb.HelloResponse(contract=CONTRACT, whatsmeow="simulated")

    async def CheckStore(self, _request: pb.CheckStoreRequest, _context: Context) -> pb.CheckStoreResponse:
        return pb.CheckStoreResponse(result=pb.CheckStoreResponse.WRITABLE, kind="simulated")

    async def Open(self, request: pb.OpenRequest, context: Context) -> pb.OpenResponse:
        async with _refusals_told(context):
            account, epoch = self._named(request.session)
            stored_phone = account.phone
            account.open(epoch, _end(request.term_ends_ms))
            self._look(account)
            return pb.OpenResponse(paired=stored_phone is not None, phone_e164=stored_phone or "")

    async def Extend(self, request: pb.ExtendRequest, context: Context) -> pb.ExtendResponse:
        async with _refusals_told(context):
            account, epoch = self._named(request.session)
            account.extend(epoch, _end(request.term_ends_ms))
            return pb.ExtendResponse()

    async def Close(self, request: pb.CloseRequest, context: Context) -> pb.CloseResponse:
        async with _refusals_told(context):
            account, epoch = self._named(request.session)
            account.close(epoch)
            return pb.CloseResponse()

    async def Events(self, request: pb.EventsRequest, context: Context) -> AsyncIterator[pb.Event]:
        async with _refusals_told(context):
            account = self._open_session(request.session)
            stream = account.attach()
        try:
            while True:
                while stream.queue:
                    yield stream.queue.popleft()
                if stream.ended:
                    return
                stream.changed.clear()
                await stream.changed.wait()
        finally:
            account.detach(stream)

    async def Acknowledge(self, request: pb.AcknowledgeRequest, context: Context) -> pb.AcknowledgeResponse:
        async with _refusals_told(context):
            self._open_session(request.session).acknowledge(request.sequence)
            return pb.AcknowledgeResponse()

    async def Pair(self, request: pb.PairRequest, context: Context) -> pb.PairResponse:
        async with _refusals_told(context):
            account = self._open_session(request.session)
            self._codes.start(account, _phone(request.phone_e164) if request.phone_e164 else None)
            return pb.PairResponse()

    async def AnswerPasskey(self, request: pb.AnswerPasskeyRequest, context: Context) -> pb.AnswerPasskeyResponse:
        async with _refusals_told(context):
            is_taken = self._open_session(request.session).answer_passkey(request.assertion_json)
            result = pb.AnswerPasskeyResponse.TAKEN if is_taken else pb.AnswerPasskeyResponse.REFUSED
            return pb.AnswerPasskeyResponse(result=result)

    async def Logout(self, request: pb.LogoutRequest, context: Context) -> pb.LogoutResponse:
        async with _refusals_told(context):
            self._open_session(request.session).unlink()
            return pb.LogoutResponse()

    async def Send(self, request: pb.SendRequest, context: Context) -> pb.SendResponse:
        async with _refusals_told(context):
            account = self._open_session(request.session)
            if not _DIRECT_CHAT.fullmatch(request.chat_jid):
                raise Malformed(_NO_PERSON)
            if not request.whatsapp_id or not request.text or request.not_after_unix_ms <= 0:
                raise Malformed("whatsapp_id, text and not_after_unix_ms must be given")
            send = Send(
                account=account,
                epoch=request.session.epoch,
                chat_jid=request.chat_jid,
                whatsapp_id=request.whatsapp_id,
                text=request.text,
                not_after_unix_ms=request.not_after_unix_ms,
                ends_at=self._world.now() + _answer_within_s(context),
            )
            # Shielded: a caller that leaves does not take back what may have left.
            return await asyncio.shield(self._sender.send(send))

    async def IsOnWhatsApp(self, request: pb.IsOnWhatsAppRequest, context: Context) -> pb.IsOnWhatsAppResponse:
        async with _refusals_told(context):
            account = self._open_session(request.session)
            phone = _phone(request.phone_e164)
            if not account.is_connected:
                raise NotPossible("the session is not connected")
            if phone not in self._world.contacts:
                return pb.IsOnWhatsAppResponse(registered=False)
            return pb.IsOnWhatsAppResponse(registered=True, jid=lid_of(phone))

    async def MarkRead(self, request: pb.MarkReadRequest, context: Context) -> pb.MarkReadResponse:
        async with _refusals_told(context):
            account = self._open_session(request.session)
            whatsapp_ids = list(request.whatsapp_ids)
            if not _DIRECT_CHAT.fullmatch(request.chat_jid):
                raise Malformed(_NO_PERSON)
            if not whatsapp_ids or not all(whatsapp_ids):
                raise Malformed("whatsapp_ids must name at least one message")
            self._world.mark_read(account, request.chat_jid, whatsapp_ids)
            return pb.MarkReadResponse()

    async def RequestHistory(self, request: pb.RequestHistoryRequest, context: Context) -> pb.RequestHistoryResponse:
        async with _refusals_told(context):
            account = self._open_session(request.session)
            if not _CHAT.fullmatch(request.chat_jid):
                raise Malformed("chat_jid must be a person's number or LID, or a group")
            if not request.whatsapp_id or request.timestamp_s <= 0 or not 1 <= request.count <= _MOST_HISTORY:
                raise Malformed(f"whatsapp_id, timestamp_s and a count of 1 to {_MOST_HISTORY} must be given")
            self._world.ask_for_past(account, request.chat_jid, request.whatsapp_id, request.count)
            return pb.RequestHistoryResponse()

    async def PingPhone(self, request: pb.PingPhoneRequest, context: Context) -> pb.PingPhoneResponse:
        async with _refusals_told(context):
            self._world.ping_phone(self._open_session(request.session))
            return pb.PingPhoneResponse()

    def _look(self, account: Account) -> None:
        """Closes the session when its owner's term is over. Whatever is asked looks for itself, too: a timer may be late."""
        known = self._looks.pop(account, None)
        if known is not None:
            known.cancel()
        account.close_if_over()
        if account.is_open:
            loop = asyncio.get_running_loop()
            self._looks[account] = loop.call_later(account.seconds_left(), self._look, account)

    def _named(self, session: pb.Session) -> tuple[Account, int]:
        if not session.account_id or session.epoch < 1:
            raise Malformed("session must name an account and an epoch from 1")
        return self._world.account(session.account_id), session.epoch

    def _open_session(self, session: pb.Session) -> Account:
        account, epoch = self._named(session)
        account.require(epoch)
        return account


def _answer_within_s(context: Context) -> float:
    """The caller must have its answer before its deadline, as the real engine sees to."""
    left_s = context.time_remaining()
    return math.inf if left_s is None else max(0.0, left_s - min(_ANSWER_MARGIN_S, left_s / 10))


def _end(term_ends_ms: int) -> int:
    if term_ends_ms <= 0:
        raise Malformed("term_ends_ms must be given")
    return term_ends_ms


def _phone(value: str) -> str:
    try:
        return phone_e164(value)
    except InvalidId as error:
        raise Malformed(str(error)) from error


@asynccontextmanager
async def _refusals_told(context: Context) -> AsyncIterator[None]:
    """Turns a refusal into the call's gRPC status."""
    try:
        yield
    except Refused as refusal:
        await context.abort(_STATUS[type(refusal)], str(refusal))
