"""An account as the engine holds it: its owner's term, its connection, and the events that are not yet acknowledged."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from connector.clock import now_s
from connector.contract.engine_pb2 import (
    BacklogDelivered,
    Event,
    LinkedDevice,
    MessageAwaited,
    MessageReceived,
    PairingCode,
    PairingEnded,
    PhoneSeen,
    ReachoutLock,
    SessionChanged,
)
from local.network import trouble
from local.network.faults import FaultBook, FaultKind
from local.network.pairing import Pairing, PasskeyStep
from local.network.passkey import AnswerRefused, challenge_of
from local.refusals import Malformed, NotPossible, Unknown

State = SessionChanged.State


@dataclass(eq=False)
class Stream:
    """What one Events call has still to hand over. `changed` is set whenever there is more, or the end."""

    queue: deque[Event] = field(default_factory=deque)
    ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, event: Event) -> None:
        self.queue.append(event)
        self.changed.set()

    def end(self) -> None:
        self.ended = True
        self.changed.set()


@dataclass(eq=False)
class Connection:
    """One connection to WhatsApp; `lost` is set when it is gone, with every ack that was under way."""

    lost: asyncio.Event = field(default_factory=asyncio.Event)
    is_deaf: bool = False


class End(StrEnum):
    """What ended an owner's hold on a session."""

    CLOSED = "closed"
    TERM_OVER = "term_over"
    """Nobody asked: the engine fenced itself."""
    TAKEN_OVER = "taken_over"
    """It was open still when an owner with a higher epoch came."""


@dataclass(kw_only=True)
class Opening:
    """For the record: a session that was not open was opened, or was taken from another owner. Times in seconds since 1970."""

    account_id: str
    epoch: int
    opened_at: float
    again_at: list[float] = field(default_factory=list)
    """Whenever it was opened again although it was open: its owner had lost the engine."""
    ended_at: float | None = None
    ended_by: End | None = None


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A message or receipt on its way from the network to an account, not numbered yet. `contact` is its sender's number."""

    event: Event
    contact: str

    @property
    def is_receipt(self) -> bool:
        return self.event.WhichOneof("kind") == "receipt"


class Account:
    """Outlives every connector: what is not acknowledged, or came while nobody had the account open, waits here."""

    def __init__(self, account_id: str, faults: FaultBook, now: Callable[[], float] = time.time) -> None:
        self.account_id = account_id
        self.openings: list[Opening] = []
        self._now = now
        self.epoch = 0
        self.is_open = False
        self.term_ends_ms = 0
        """On the clock of connector/clock.py. From then on nothing is taken or handed over until the account is opened again."""
        self.phone: str | None = None
        self.links = 0
        """How often it was linked: each time it is another device of the phone's."""
        self.state: State.ValueType = SessionChanged.STATE_UNSPECIFIED
        """Unspecified while there is nothing to connect: not open, or not paired."""
        self.reason = ""
        self.connection: Connection | None = None
        self.connected = asyncio.Event()
        """Set while there is a connection."""
        self.pairing: Pairing | None = None
        self.unacknowledged: list[Event] = []
        self.offline: deque[Incoming] = deque()
        self.held_receipts: list[tuple[int, Incoming]] = []
        self.login_failure: int | None = None
        self._ban_s = trouble.BAN_S
        """What WhatsApp answers to logins. None: it lets the session in."""
        self._faults = faults
        self._last_sequence = 0
        self._overtaken: Incoming | None = None
        self._stream: Stream | None = None
        self._untold: list[Event] = []
        self._had_stream = False
        self._has_expired_passkey = False
        """The latest pairing has ended because nobody answered for the passkey."""
        self._reachout_locks: set[int] = set()
        """The faults for which the account was told that its cold messages are refused."""

    # The owner's term

    def require(self, epoch: int) -> None:
        """The session is open under this epoch. A stale one is refused as such, whether the session is open or not."""
        self._refuse_stale(epoch)
        self.close_if_over()
        if epoch > self.epoch or not self.is_open:
            raise Unknown("the account is not open here")

    def open(self, epoch: int, term_ends_ms: int) -> None:
        self._refuse_stale(epoch)
        self.close_if_over()
        if _seconds_until(term_ends_ms) <= 0:
            raise NotPossible("the owner's term is over")
        if self.is_open and epoch == self.epoch:
            self.extend(epoch, term_ends_ms)
            self.openings[-1].again_at.append(self._now())
            if not self.has_ended:
                return
        if self.is_open and epoch > self.epoch:
            self._lose_connection()
            self._set_state(SessionChanged.REPLACED, trouble.TAKEN_OVER)
            self._end_stream()
            self._note_end(End.TAKEN_OVER)
        if not self.is_open or epoch > self.epoch:
            self.pairing = None
            self.state, self.reason = SessionChanged.STATE_UNSPECIFIED, ""
            self._untold, self._had_stream = [], False
            self.term_ends_ms = term_ends_ms
            self.openings.append(Opening(account_id=self.account_id, epoch=epoch, opened_at=self._now()))
        self.epoch, self.is_open = epoch, True
        self._connect()

    def extend(self, epoch: int, term_ends_ms: int) -> None:
        self.require(epoch)
        self.term_ends_ms = max(self.term_ends_ms, term_ends_ms)

    def seconds_left(self) -> float:
        """Of the owner's term; 0 for a session that is not open."""
        return max(0.0, _seconds_until(self.term_ends_ms)) if self.is_open else 0.0

    def close_if_over(self) -> None:
        """Its owner may be frozen or cut off, and another worker own the account: called before anything is done for it."""
        if self.is_open and self.seconds_left() == 0:
            self._close(End.TERM_OVER)

    def close(self, epoch: int) -> None:
        self._refuse_stale(epoch)
        if self.is_open and epoch == self.epoch:
            self._close(End.CLOSED)

    def _close(self, by: End) -> None:
        self.is_open = False
        self._note_end(by)
        self.pairing = None
        self._lose_connection()
        self._end_stream()
        self.state, self.reason = SessionChanged.STATE_UNSPECIFIED, ""

    def _note_end(self, by: End) -> None:
        self.openings[-1].ended_at, self.openings[-1].ended_by = self._now(), by

    def forget_stream(self) -> None:
        """The network itself is reset."""
        self.is_open = False
        self._lose_connection()
        self._end_stream()

    @property
    def is_connected(self) -> bool:
        return self.connection is not None

    @property
    def has_ended(self) -> bool:
        return self.state in (
            SessionChanged.LOGGED_OUT,
            SessionChanged.REPLACED,
            SessionChanged.BANNED,
            SessionChanged.OUTDATED,
        )

    def is_linked_to(self, phone: str) -> bool:
        return self.phone == phone and self.login_failure not in trouble.REMOVED_CODES

    # The stream of events

    def attach(self) -> Stream:
        """A new stream, which ends the one before. It begins with what was not told yet, or else with the present state."""
        self._end_stream()
        stream = Stream()
        if self._had_stream and self.state != SessionChanged.STATE_UNSPECIFIED:
            stream.put(Event(session=self._session_changed()))
        for event in [*self._untold, *self.unacknowledged]:
            stream.put(event)
        self._untold, self._had_stream = [], True
        self._stream = stream
        return stream

    def detach(self, stream: Stream) -> None:
        if self._stream is stream:
            self._stream = None

    def acknowledge(self, sequence: int) -> None:
        if sequence > self._last_sequence:
            raise Malformed("no event of this sequence was handed over")
        self.unacknowledged = [event for event in self.unacknowledged if event.sequence > sequence]

    def admit(self, incoming: Incoming) -> None:
        """Something comes from the network: it waits while nobody is connected, and meets the faults that were asked for."""
        self.close_if_over()
        if incoming.is_receipt:
            hold = self._faults.take(FaultKind.HOLD_RECEIPTS, self.phone or "", incoming.contact)
            if hold is not None:
                self.held_receipts.append((hold.fault_id, incoming))
                return
        if self.connection is None or self._is_deaf(self.connection, incoming):
            self.offline.append(incoming)
            return
        if self._is_unreadable(incoming):
            return
        if self._overtaken is None and self._faults.take(FaultKind.REORDER, self.phone or "", incoming.contact):
            self._overtaken = incoming
            return
        self._hand_over(incoming)
        if self._overtaken is not None:
            overtaken, self._overtaken = self._overtaken, None
            self._hand_over(overtaken)

    def hand_over_past(self, message: MessageReceived) -> None:
        """The phone has answered with a message that may have come before."""
        event = Event(message=message, wire=message.SerializeToString())
        event.message.from_history = True
        self._number(event)

    def _is_deaf(self, connection: Connection, incoming: Incoming) -> bool:
        if not connection.is_deaf:
            connection.is_deaf = self._faults.take(FaultKind.DEAF, self.phone or "", incoming.contact) is not None
        return connection.is_deaf

    def release_receipts(self, fault_ids: list[int]) -> None:
        """The faults that held these receipts are cleared."""
        released = [incoming for fault_id, incoming in self.held_receipts if fault_id in fault_ids]
        self.held_receipts = [held for held in self.held_receipts if held[0] not in fault_ids]
        for incoming in released:
            self.admit(incoming)

    # Pairing

    def start_pairing(self, pairing: Pairing) -> None:
        if self.phone is not None:
            raise NotPossible("the account is paired already")
        self.pairing, self._has_expired_passkey = pairing, False

    def show(self, code: PairingCode) -> None:
        self._tell(Event(pairing_code=code))

    def link(self, phone: str) -> None:
        """The code was scanned or entered: the account is this number's device from now on."""
        self.pairing = None
        self.phone = phone
        self.links += 1
        self._tell(Event(pairing_ended=PairingEnded(result=PairingEnded.PAIRED, phone_e164=phone)))
        self._connect()

    def want_passkey(self, pairing: Pairing, step: PasskeyStep) -> None:
        """The code was used, by a phone whose account has a passkey."""
        pairing.passkey = step
        self._tell(Event(passkey_request=step.request()))

    def answer_passkey(self, answer: str) -> bool:
        """Whether the answer links the device; else the pairing has ended."""
        if self._has_expired_passkey:
            raise NotPossible("the passkey's request has expired; begin the pairing again")
        step = None if self.pairing is None else self.pairing.passkey
        if step is None:
            raise NotPossible("no pairing waits for a passkey's answer")
        try:
            challenge = challenge_of(answer)
        except ValueError as error:
            raise Malformed(
                "the answer cannot be read: it must be a JSON object as the script has printed it"
            ) from error
        if challenge != step.challenge:
            raise Malformed("the answer was signed for another request; sign the request that is shown now")
        try:
            step.passkey.check(answer, step.challenge)
        except AnswerRefused:
            self.end_pairing(PairingEnded.FAILED, "passkey_refused")
            return False
        self.link(step.phone)
        return True

    def passkey_expired(self) -> None:
        self.end_pairing(PairingEnded.EXPIRED, "passkey_expired")
        self._has_expired_passkey = True

    def end_pairing(self, result: PairingEnded.Result.ValueType, reason: str) -> None:
        self.pairing = None
        self._tell(Event(pairing_ended=PairingEnded(result=result, reason=reason)))

    # What befalls the session

    def unlink(self) -> None:
        """Logged out by the owner itself, who needs no event. Unacknowledged events stay: they were received."""
        self.phone = None
        self.pairing = None
        self._lose_connection()
        self.state, self.reason = SessionChanged.STATE_UNSPECIFIED, ""

    def break_connection(self, reason: str) -> None:
        """The connection ends, and none comes about before `let_in`."""
        self.login_failure = trouble.NO_SERVICE
        if self.is_connected:
            self._break(reason)

    def refuse_logins(self, code: int, ban_s: float) -> None:
        """The connection ends, and logins are answered with this failure."""
        self.login_failure, self._ban_s = code, ban_s
        if self.is_connected:
            self._break(trouble.word(trouble.Break.STREAM_ERROR, trouble.NO_SERVICE))
        if self.is_open and not self.has_ended:
            self._log_in()

    def let_in(self) -> None:
        """Logins are answered again. A session that has ended stays so until it is opened again."""
        self.login_failure = None
        if self.is_open and self.state in (SessionChanged.CONNECTING, SessionChanged.RECONNECTING):
            self._log_in()

    def blink(self) -> None:
        """The connection is lost, and comes about again at once."""
        if self.is_connected:
            self._break(trouble.word(trouble.Break.RESET, 0))
            self._log_in()

    def remove(self) -> None:
        """The device is unlinked on the phone. A session that is not open learns of it when it logs in."""
        if self.is_open:
            self.phone = None
            self._end(SessionChanged.LOGGED_OUT, trouble.REMOVED)
        else:
            self.login_failure = trouble.REMOVED_CODES[0]

    def replace(self) -> None:
        """The same session was opened elsewhere."""
        if self.is_open:
            self._end(SessionChanged.REPLACED, trouble.REPLACED)

    def _connect(self) -> None:
        if self.phone is not None:
            self._set_state(SessionChanged.CONNECTING, "")
            self._log_in()

    def _log_in(self) -> None:
        if self.login_failure is None:
            self._become_connected()
            return
        state, reason = trouble.refused(self.login_failure)
        if state == SessionChanged.LOGGED_OUT:
            self.phone, self.login_failure = None, None
        if state != self.state:  # each loss is told once
            self._set_state(state, reason)

    def _break(self, reason: str) -> None:
        self._lose_connection()
        self._set_state(SessionChanged.RECONNECTING, reason)

    def _end(self, state: State.ValueType, reason: str) -> None:
        self._lose_connection()
        self._set_state(state, reason)

    def _become_connected(self) -> None:
        self.connection = Connection()
        self.connected.set()
        self._set_state(SessionChanged.CONNECTED, "")
        waiting, self.offline = self.offline, deque()
        if waiting:
            self._deliver(waiting)

    def _deliver(self, waiting: deque[Incoming]) -> None:
        """What had waited, and a word on it: as announced, and as it came."""
        connected_at = int(self._now() * 1000)
        told = BacklogDelivered(began_at_unix_ms=connected_at, connected_at_unix_ms=connected_at)
        for incoming in waiting:
            if incoming.is_receipt:
                self.admit(incoming)
                continue
            told.announced += 1
            if self._faults.take(FaultKind.LOSE_BACKLOG, self.phone or "", incoming.contact):
                told.lost += 1
            elif self._is_unreadable(incoming):
                told.undecrypted += 1
            else:
                told.events += 1
                self.admit(incoming)
        if told.announced:
            self._number(Event(backlog=told))

    def _is_unreadable(self, incoming: Incoming) -> bool:
        """Such a message is told as one that is awaited."""
        if incoming.is_receipt or not self._faults.take(FaultKind.UNREADABLE, self.phone or "", incoming.contact):
            return False
        message = incoming.event.message
        self._number(
            Event(
                awaited=MessageAwaited(
                    whatsapp_id=message.whatsapp_id,
                    chat_jid=message.chat_jid,
                    chat_other_jid=message.chat_other_jid,
                    from_me=message.from_me,
                    timestamp_s=message.timestamp_s,
                )
            )
        )
        return True

    def _lose_connection(self) -> None:
        if self.connection is None:
            return
        self.connection.lost.set()
        self.connection = None
        self.connected.clear()
        if self._overtaken is not None:
            self.offline.appendleft(self._overtaken)
            self._overtaken = None

    def _hand_over(self, incoming: Incoming) -> None:
        twice = self._faults.take(FaultKind.REPEAT, self.phone or "", incoming.contact) is not None
        for _ in range(2 if twice else 1):
            event = Event()
            event.CopyFrom(incoming.event)
            self._number(event)

    def _number(self, event: Event) -> None:
        self._last_sequence += 1
        event.sequence = self._last_sequence
        self.unacknowledged.append(event)
        if self._stream is not None:
            self._stream.put(event)

    def _set_state(self, state: State.ValueType, reason: str) -> None:
        self.state, self.reason = state, reason
        self._tell(Event(session=self._session_changed()))

    def _session_changed(self) -> SessionChanged:
        changed = SessionChanged(state=self.state, reason=self.reason)
        if self.state == SessionChanged.CONNECTED and self.phone is not None:
            changed.phone_e164 = self.phone
            changed.device.CopyFrom(LinkedDevice(number=self.links, platform="android"))
        if self.state == SessionChanged.BANNED:
            changed.ban_ends_at_unix_s = int(self._now() + self._ban_s)
        return changed

    def lock_reachout(self, fault_id: int, seconds: float) -> None:
        """The account is told, once a fault, that its cold messages are refused for so long."""
        if fault_id not in self._reachout_locks:
            self._reachout_locks.add(fault_id)
            ends = int(self._now() + seconds)
            self._tell(Event(reachout_lock=ReachoutLock(active=True, ends_at_unix_s=ends)))

    def unlock_reachout(self, cleared: list[int]) -> None:
        if not self._reachout_locks.isdisjoint(cleared):
            self._reachout_locks.difference_update(cleared)
            self._tell(Event(reachout_lock=ReachoutLock(active=False)))

    def phone_seen(self) -> None:
        self._tell(Event(phone_seen=PhoneSeen(at_unix_s=int(self._now()))))

    def _tell(self, event: Event) -> None:
        """Hands over an event that needs no acknowledgement: it is lost with a broken stream, but waits for the first one."""
        if self._stream is not None:
            self._stream.put(event)
        elif not self._had_stream:
            self._untold.append(event)

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.end()
            self._stream = None

    def _refuse_stale(self, epoch: int) -> None:
        if epoch < self.epoch:
            raise NotPossible("the epoch is stale")


def _seconds_until(ends_ms: int) -> float:
    return ends_ms / 1000 - now_s()
