"""The owner's side of a send: whether it may go out now, joined when it is under way already, and what its end proves."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connector import log, metrics
from connector.contract import engine_pb2 as pb
from connector.engine import CallMalformed, Engine, EngineFailed, EngineRefused
from connector.gate import Gate
from connector.pacing import Closed
from connector.session import Session
from connector.term import TermLost
from core.ids import AccountId, ChatId, WaMessageKey
from core.outbox import Outcome
from core.pacing import Hold

_OUTCOMES = {
    pb.SendResponse.SENT: Outcome.SENT,
    pb.SendResponse.NOT_SENT: Outcome.NOT_SENT,
    pb.SendResponse.REJECTED: Outcome.REJECTED,
    pb.SendResponse.EXPIRED: Outcome.EXPIRED,
    pb.SendResponse.NOT_CONNECTED: Outcome.NOT_CONNECTED,
}
"""An outcome that is not among them proves nothing: unknown."""


@dataclass(frozen=True, kw_only=True)
class SendRequest:
    account: AccountId
    chat: ChatId
    key: WaMessageKey
    text: str
    not_after: datetime
    is_reply: bool | None = None
    """Whether the contact has written within a day; None: the functions did not say, and its day's limit does not hold it."""


@dataclass(frozen=True, kw_only=True)
class SendAnswer:
    outcome: Outcome
    reason: str = ""
    not_before: datetime | None = None


NOT_OWNER = SendAnswer(outcome=Outcome.NOT_OWNER)


def _come_again(why: Hold, not_before: datetime) -> SendAnswer:
    return SendAnswer(outcome=Outcome.NOT_BEFORE, reason=str(why), not_before=not_before)


class OtherSendUnderWay(Exception):
    """The same waMessageKey is being sent with another text or to another chat."""


@dataclass(kw_only=True)
class Sends:
    """The sends of one owned account. Their order within a chat is the engine's: that of the calls."""

    session: Session
    engine: Engine
    engine_send_s: float
    gate: Gate
    _closed: bool = field(default=False, init=False)
    _under_way: dict[WaMessageKey, tuple[SendRequest, asyncio.Task[SendAnswer]]] = field(
        default_factory=dict, init=False
    )

    async def send(self, request: SendRequest) -> SendAnswer:
        """Raises OtherSendUnderWay. A caller that goes away does not end the send."""
        if self._closed or not self.session.term.is_live():
            return NOT_OWNER
        first, task = self._under_way.get(request.key, (None, None))
        if first is None or task is None:
            if not self.session.is_connected:
                is_banned = self.session.account.pacing.is_banned(datetime.now(UTC))
                return SendAnswer(outcome=Outcome.NOT_CONNECTED, reason="banned" if is_banned else "")
            if request.not_after <= datetime.now(UTC):
                return SendAnswer(outcome=Outcome.EXPIRED)
            task = asyncio.create_task(self._carry_out(request))
            self._under_way[request.key] = (request, task)
            task.add_done_callback(lambda _: self._under_way.pop(request.key))
        elif (first.chat, first.text) != (request.chat, request.text):
            raise OtherSendUnderWay
        return await asyncio.shield(task)

    async def drain(self, limit_s: float) -> None:
        """Takes no more, and waits for those under way, at most `limit_s`."""
        self._closed = True
        self.gate.close()
        if self._under_way:
            await asyncio.wait([task for _, task in self._under_way.values()], timeout=limit_s)

    async def _carry_out(self, request: SendRequest) -> SendAnswer:
        waiting, seconds = metrics.SENDS_UNDER_WAY.begin(), 0.0
        try:
            held = await self._held_back(request)
            answer = held or await self._ask_engine(request)
        finally:
            seconds = metrics.SENDS_UNDER_WAY.end(waiting)
        if held is None:
            until = self.gate.ended(answer.outcome, answer.reason, is_reply=request.is_reply)
            if until is not None:
                answer = _come_again(Hold.COLD_LOCKED, until)
        metrics.SEND_SECONDS.labels(answer.outcome).observe(seconds)
        metrics.SENDS.labels(answer.outcome).inc()
        log.send_ended(request.account, request.key, answer.outcome, answer.reason)
        return answer

    async def _held_back(self, request: SendRequest) -> SendAnswer | None:
        """What is answered in place of a send that its account's pace does not allow now."""
        try:
            held = await self.gate.enter(request.chat, is_reply=request.is_reply)
        except (Closed, TermLost):
            return NOT_OWNER
        return _come_again(held.why, held.until) if held is not None else None

    async def _ask_engine(self, request: SendRequest) -> SendAnswer:
        term = self.session.term
        # Nothing may go on the wire when the term may be another's, so the engine is told its end, too.
        term_end = datetime.now(UTC) + timedelta(seconds=term.seconds_left())
        not_after = min(request.not_after, term_end)
        try:
            response = await self.engine.send(
                term,
                chat=request.chat,
                whatsapp_id=request.key,
                text=request.text,
                not_after_unix_ms=int(not_after.timestamp() * 1000),
                timeout_s=self.engine_send_s,
            )
        except CallMalformed:
            # Waiting would not help, so it burns an attempt: for ever at its queue's head, it would block the chat.
            return SendAnswer(outcome=Outcome.NOT_SENT, reason="engine_invalid_argument")
        except EngineRefused:
            return SendAnswer(outcome=Outcome.NOT_CONNECTED, reason="engine_refused")
        except EngineFailed as error:
            return SendAnswer(outcome=Outcome.UNKNOWN, reason=f"engine_{error.status.lower()}")
        return SendAnswer(outcome=_OUTCOMES.get(response.outcome, Outcome.UNKNOWN), reason=response.reason)
