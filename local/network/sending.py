"""Sends: in the order of each chat, joined when they are the same, nothing after their time, with the faults that were asked for."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from connector.contract.engine_pb2 import ReceiptReceived, SendResponse
from local.network.account import Account, Connection
from local.network.contacts import Contact
from local.network.faults import Fault, FaultKind
from local.network.world import Frame, World
from local.refusals import Refused


@dataclass(kw_only=True)
class Settings:
    """Times in seconds, changed while the network runs."""

    ack_timeout_s: float
    """A send that has no ack after this time ends UNKNOWN."""
    repeat_within_s: float = 5.0
    """How long a send that lost its connection waits for the next."""
    code_lifetime_s: float = 20.0
    """How long a QR code is good; a code for a number, as long as all six of them."""
    passkey_lifetime_s: float = 290.0
    """How long a passkey's request may be answered."""
    receipt_delay_s: float = 0.05
    """How long after a frame the contact's phone says DELIVERED, and again until it says READ."""


@dataclass(frozen=True, kw_only=True)
class Send:
    """One Send call. `epoch` is the term it was called in: it must not leave in another's."""

    account: Account
    epoch: int
    chat_jid: str
    whatsapp_id: str
    text: str
    not_after_unix_ms: int
    ends_at: float
    """Without an ack, UNKNOWN at the latest then."""


class Sender:
    """Carries sends out as tasks of their own: one whose caller has gone still runs to its end."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._settings = settings
        self._forget()

    def _forget(self) -> None:
        self._under_way: dict[tuple[str, int, str], asyncio.Task[SendResponse]] = {}
        self._chats: defaultdict[tuple[str, int, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._timers: set[asyncio.TimerHandle] = set()

    def reset(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        for timer in self._timers:
            timer.cancel()
        self._forget()

    def send(self, send: Send) -> asyncio.Task[SendResponse]:
        """The task that carries the send out; the one under way when it has the same id."""
        key = (send.account.account_id, send.epoch, send.whatsapp_id)
        if key not in self._under_way:
            task = asyncio.create_task(self._carry_out(send))
            under_way = self._under_way
            under_way[key] = task
            task.add_done_callback(lambda _: under_way.pop(key, None))
        return self._under_way[key]

    async def _carry_out(self, send: Send) -> SendResponse:
        attempt = self._next_attempt(send)
        contact = self._world.contact_of_chat(send.chat_jid)
        chat = contact.number_jid if contact else send.chat_jid
        # A lock wakes its waiters in the order in which they came: the chat's order. The ack is awaited outside of it.
        async with self._chats[send.account.account_id, send.epoch, chat]:
            faults = self._faults_for(send, contact)
            if FaultKind.DELAY_BEFORE in faults:
                await asyncio.sleep(faults[FaultKind.DELAY_BEFORE].seconds)
            connection = self._connection(send)
            if connection is None:
                return SendResponse(outcome=SendResponse.NOT_CONNECTED)
            refusal = _refusal(contact, faults)
            if FaultKind.REFUSE in faults and (seconds := faults[FaultKind.REFUSE].seconds):
                send.account.lock_reachout(faults[FaultKind.REFUSE].fault_id, seconds)
                await asyncio.sleep(_AFTER_THE_WORD_S)
            if refusal is not None:
                return refusal
            assert contact is not None
            # The last look before the frame: whatever delayed the send, nothing leaves after its time.
            if self._world.now() * 1000 > send.not_after_unix_ms:
                return SendResponse(outcome=SendResponse.EXPIRED)
            frame = None
            if FaultKind.DROP not in faults:
                frame = self._world.take_frame(send.account, contact, send.whatsapp_id, send.text, attempt)
        if frame is not None:
            self._receipts_follow(contact, frame)
        answer = await self._ack(send, connection, frame, faults)
        if answer.outcome == SendResponse.UNKNOWN and connection.lost.is_set():
            return await self._repeat(send, contact)
        return answer

    def _faults_for(self, send: Send, contact: Contact | None) -> dict[FaultKind, Fault]:
        account, to = send.account.phone or "", contact.phone if contact else ""
        taken = {kind: self._world.faults.take(kind, account, to) for kind in _SEND_FAULTS}
        return {kind: fault for kind, fault in taken.items() if fault is not None}

    def _connection(self, send: Send) -> Connection | None:
        account = send.account
        account.close_if_over()
        return account.connection if account.is_open and account.epoch == send.epoch else None

    async def _ack(
        self, send: Send, connection: Connection, frame: Frame | None, faults: dict[FaultKind, Fault]
    ) -> SendResponse:
        """What the engine learns of a frame that has left. `frame` is None when it was lost on the way."""
        limit_s = self._ack_within_s(send)
        if frame is None or FaultKind.SILENT in faults:
            return await self._no_ack(connection, limit_s)
        if FaultKind.CUT in faults:
            send.account.blink()
            return await self._no_ack(connection, limit_s)
        if FaultKind.DELAY_AFTER in faults:
            delay_s = faults[FaultKind.DELAY_AFTER].seconds
            failed = await self._no_ack(connection, min(delay_s, limit_s))
            if delay_s > limit_s:
                self._ack_late_after(delay_s - limit_s, send, connection, frame)
            if delay_s > limit_s or connection.lost.is_set():
                return failed
        return SendResponse(outcome=SendResponse.SENT, timestamp_s=frame.timestamp_s)

    async def _repeat(self, send: Send, contact: Contact) -> SendResponse:
        """As whatsmeow does it: a frame that lost its connection goes out again on the next one, if that comes soon."""
        unknown = SendResponse(outcome=SendResponse.UNKNOWN, reason="disconnected")
        try:
            async with asyncio.timeout(min(self._settings.repeat_within_s, self._ack_within_s(send))):
                await send.account.connected.wait()
        except TimeoutError:
            return unknown
        if self._connection(send) is None or self._world.now() * 1000 > send.not_after_unix_ms:
            return unknown
        attempt = self._next_attempt(send)
        frame = self._world.take_frame(send.account, contact, send.whatsapp_id, send.text, attempt)
        self._receipts_follow(contact, frame)
        return SendResponse(outcome=SendResponse.SENT, timestamp_s=frame.timestamp_s)

    def _next_attempt(self, send: Send) -> int:
        key = (send.account.account_id, send.whatsapp_id)
        self._attempts[key] += 1
        return self._attempts[key]

    def _ack_within_s(self, send: Send) -> float:
        return min(self._settings.ack_timeout_s, max(0.0, send.ends_at - self._world.now()))

    async def _no_ack(self, connection: Connection, seconds: float) -> SendResponse:
        """Waits in vain, at most until the connection is lost, and an ack with it."""
        try:
            async with asyncio.timeout(seconds):
                await connection.lost.wait()
        except TimeoutError:
            return SendResponse(outcome=SendResponse.UNKNOWN, reason="no_ack")
        return SendResponse(outcome=SendResponse.UNKNOWN, reason="disconnected")

    def _ack_late_after(self, seconds: float, send: Send, connection: Connection, frame: Frame) -> None:
        def acknowledge() -> None:
            if send.account.connection is connection:
                self._world.acknowledge_late(send.account, frame, send.chat_jid)

        self._later(seconds, acknowledge)

    def _receipts_follow(self, contact: Contact, frame: Frame) -> None:
        """The contact's app says DELIVERED for each frame, a repeated one too, and READ when it opens what it gets."""

        def delivered() -> None:
            ids = [frame.whatsapp_id]
            self._world.send_receipt(contact.phone, frame.account, ids, ReceiptReceived.DELIVERED)
            if contact.reads:
                self._later(self._settings.receipt_delay_s, read)

        def read() -> None:
            self._world.read(contact.phone, frame.account, [frame.whatsapp_id])

        self._later(self._settings.receipt_delay_s, delivered)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            try:
                action()
            except Refused:
                return  # the number was unlinked meanwhile: nobody is there to hear it

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)


_AFTER_THE_WORD_S = 0.3
"""So that what is said of a lock has come before the refusal."""
_SEND_FAULTS = (
    FaultKind.DELAY_BEFORE,
    FaultKind.DELAY_AFTER,
    FaultKind.DROP,
    FaultKind.SILENT,
    FaultKind.CUT,
    FaultKind.REFUSE,
    FaultKind.NOT_SENT,
)


def _refusal(contact: Contact | None, faults: dict[FaultKind, Fault]) -> SendResponse | None:
    """Why no frame leaves."""
    if FaultKind.NOT_SENT in faults:
        return SendResponse(outcome=SendResponse.NOT_SENT, reason="no_recipient_device")
    if contact is None:
        return SendResponse(outcome=SendResponse.REJECTED, reason="no_account")
    if FaultKind.REFUSE in faults:
        return SendResponse(outcome=SendResponse.REJECTED, reason=faults[FaultKind.REFUSE].code)
    return None
