"""The faults that tests ask for by name: what stands, for whom, and how often."""

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.whatsapp.node import Node

if TYPE_CHECKING:
    from tests.whatsapp.connection import Connection
    from tests.whatsapp.device import Device
    from tests.whatsapp.person import Person

_CLOSE_AFTER_S: Final = 0.3
"""A client must be able to read the stream's end before the socket's."""


@dataclass
class Fault:
    """One fault that stands. For every phone and contact unless it names one; until `end`, or for `times` occasions."""

    kind: str
    phone: str | None = None
    contact: str | None = None
    times: int | None = None
    seconds: float = 0.0
    code: int = 0
    answers: bool = True
    hits: int = 0
    """How often it has struck."""
    is_over: bool = False
    """It has been ended; what it held is released."""
    _on_end: list[Callable[[], None]] = field(default_factory=list)

    def end(self) -> None:
        """Idempotent. What the fault held back comes now."""
        if not self.is_over:
            self.is_over = True
            for release in self._on_end:
                release()

    def when_over(self, release: Callable[[], None]) -> None:
        self._on_end.append(release)

    @property
    def can_strike(self) -> bool:
        return not self.is_over and (self.times is None or self.hits < self.times)


class FaultBook:
    """Asked on every occasion; answers fast where nothing stands."""

    def __init__(self) -> None:
        self._standing: defaultdict[str, list[Fault]] = defaultdict(list)
        self._struck: set[tuple[str, str | None]] = set()

    def add(self, fault: Fault) -> Fault:
        self._standing[fault.kind].append(fault)
        return fault

    def take(self, kind: str, *, phone: str | None = None, contact: str | None = None) -> Fault | None:
        """The fault that strikes now, if one does."""
        if not self._standing.get(kind):
            return None
        self._standing[kind] = [fault for fault in self._standing[kind] if not fault.is_over]
        for fault in self._standing[kind]:
            if fault.can_strike and fault.phone in (None, phone) and fault.contact in (None, contact):
                fault.hits += 1
                self._struck.add((kind, contact))
                return fault
        return None

    def has_struck(self, kind: str, *, contact: str) -> bool:
        """Whether such a fault has ever struck for this contact."""
        return (kind, contact) in self._struck

    def clear(self) -> None:
        standing = [fault for faults in self._standing.values() for fault in faults]
        self._standing.clear()
        for fault in standing:
            fault.end()


class Faults:
    """Every fault there is. Those that stand for a while are handed back, to be ended."""

    def __init__(self, book: FaultBook, connections: "Collection[Connection]") -> None:
        self._book, self._connections = book, connections

    def clear(self) -> None:
        """Ends all that stand."""
        self._book.clear()

    # The connection, at once

    def drop(self, device: "Device") -> None:
        """The TCP connection is gone without a word. Without effect while the device is not connected."""
        if device.connection is not None:
            device.connection.abort()

    def half_close(self, device: "Device") -> None:
        """The server's direction ends; what the client says is not heard any more."""
        device.need_connection().half_close()

    def fall_silent(self, device: "Device") -> None:
        """The TCP connection stays, and nothing comes or is heard."""
        device.need_connection().fall_silent()

    def stream_error(self, device: "Device", code: int) -> None:
        """The server ends the stream with a code, such as 503."""
        device.need_connection().end(Node("stream:error", {"code": code}), _CLOSE_AFTER_S)

    def replace(self, device: "Device") -> None:
        """The same device has connected elsewhere."""
        conflict = Node("conflict", {"type": "replaced"})
        device.need_connection().end(Node("stream:error", {}, [conflict]), _CLOSE_AFTER_S)

    def end_pairing(self) -> int:
        """Connections that show codes, or wait for a passkey, are closed, as when all codes have been shown. Answers how many there
        were."""
        pairing = [connection for connection in self._connections if connection.refs or connection.passkey_pairing]
        for connection in pairing:
            connection.close()
        return len(pairing)

    # Connecting

    def login_failure(self, phone: "Person", code: int, *, times: int | None = None, seconds: float = 0.0) -> Fault:
        """Logins of this account are answered with this failure: 401, 403, 402 (a ban, of an hour or so many seconds), 405
        (outdated), 503..."""
        return self._stand("login_failure", phone=phone, times=times, code=code, seconds=seconds)

    def refuse_connections(self, *, times: int | None = None) -> Fault:
        """New connections are cut before a word is said."""
        return self._stand("refuse_connections", times=times)

    def stall_passkey(self, *, times: int | None = None) -> Fault:
        """The answer for a passkey is taken, and nothing follows."""
        return self._stand("stall_passkey", times=times)

    def qr_refs(self, count: int, *, times: int | None = None) -> Fault:
        """Fewer QR codes than the usual six are handed out: they are soon used up."""
        return self._stand("qr_refs", times=times, code=count)

    # Requests

    def mute(self, kind: str, *, phone: "Person | None" = None, times: int | None = None) -> Fault:
        """Requests of this kind stay unanswered: `ping`, or a namespace such as `usync` and `encrypt`; `*` is all of them."""
        return self._stand(f"mute:{kind}", phone=phone, times=times)

    def late_answers(
        self, kind: str, seconds: float, *, phone: "Person | None" = None, times: int | None = None
    ) -> Fault:
        """Answers to requests of this kind (as in `mute`) take this long."""
        return self._stand(f"late:{kind}", phone=phone, times=times, seconds=seconds)

    def no_bundle(self, contact: "Person", *, times: int | None = None) -> Fault:
        """The server has no keys of this contact: nobody can encrypt for it."""
        return self._stand("no_bundle", contact=contact, times=times)

    def no_lid(self, contact: "Person", *, times: int | None = None) -> Fault:
        """The server does not tell this contact's LID."""
        return self._stand("no_lid", contact=contact, times=times)

    # Frames that a device sends

    def hold_acks(
        self, *, phone: "Person | None" = None, contact: "Person | None" = None, times: int | None = None
    ) -> Fault:
        """The frame arrives, its ack waits until the fault is ended, and is lost with the connection."""
        return self._stand("hold_acks", phone=phone, contact=contact, times=times)

    def late_acks(
        self,
        seconds: float,
        *,
        phone: "Person | None" = None,
        contact: "Person | None" = None,
        times: int | None = None,
    ) -> Fault:
        """The frame arrives, its ack takes this long."""
        return self._stand("late_acks", phone=phone, contact=contact, times=times, seconds=seconds)

    def refuse(
        self,
        code: int,
        *,
        phone: "Person | None" = None,
        contact: "Person | None" = None,
        times: int | None = None,
        seconds: float = 0.0,
    ) -> Fault:
        """The frame is refused with this code, such as 463 or 479; the contact does not get it. `seconds`: before the first refusal
        the account is told that it may not write to people who have not written, for so long; and, when the fault is ended, that
        it may."""
        return self._stand("refuse", phone=phone, contact=contact, times=times, code=code, seconds=seconds)

    def lose_frames(
        self, *, phone: "Person | None" = None, contact: "Person | None" = None, times: int | None = None
    ) -> Fault:
        """The frame is lost on its way: neither recorded nor answered."""
        return self._stand("lose_frames", phone=phone, contact=contact, times=times)

    def drop_at_frame(
        self, *, phone: "Person | None" = None, contact: "Person | None" = None, times: int | None = 1
    ) -> Fault:
        """The frame arrives, then the connection is cut before the ack."""
        return self._stand("drop_at_frame", phone=phone, contact=contact, times=times)

    def unreadable(self, contact: "Person", *, times: int | None = 1) -> Fault:
        """The contact cannot decrypt the frame, has lost its session, and asks for it again by a retry receipt."""
        return self._stand("unreadable", contact=contact, times=times)

    # Stanzas for a device

    def corrupt_next(self, contact: "Person", *, times: int | None = 1, answers: bool = True) -> Fault:
        """The contact's next messages cannot be decrypted. `answers`: it sends them anew when a retry receipt asks."""
        return self._stand("corrupt", contact=contact, times=times, answers=answers)

    def unavailable(self, contact: "Person", *, times: int | None = 1, answers: bool = True) -> Fault:
        """The contact's next messages come as placeholders. `answers`: the phone hands them over when it is asked."""
        return self._stand("unavailable", contact=contact, times=times, answers=answers)

    def duplicate_delivery(
        self, *, phone: "Person | None" = None, contact: "Person | None" = None, times: int | None = 1
    ) -> Fault:
        """A contact's stanza comes twice, byte for byte."""
        return self._stand("duplicate", phone=phone, contact=contact, times=times)

    def delay(
        self,
        seconds: float,
        *,
        phone: "Person | None" = None,
        contact: "Person | None" = None,
        times: int | None = None,
    ) -> Fault:
        """A contact's stanzas take this long to a connected device."""
        return self._stand("delay", phone=phone, contact=contact, times=times, seconds=seconds)

    # What waits for a device, and its phone

    def lose_backlog(
        self, *, phone: "Person | None" = None, contact: "Person | None" = None, times: int | None = 1
    ) -> Fault:
        """A message that had waited for a device is announced when it connects, and never comes."""
        return self._stand("lose_backlog", phone=phone, contact=contact, times=times)

    def cut_backlog(self, after: int, *, phone: "Person | None" = None, times: int | None = 1) -> Fault:
        """The connection is cut when so many of the stanzas that had waited are written."""
        return self._stand("cut_backlog", phone=phone, times=times, code=after)

    def phone_off(self, *, phone: "Person | None" = None) -> Fault:
        """What linked devices ask of the phone waits until the fault is ended."""
        return self._stand("phone_off", phone=phone)

    def deafen(self, *, phone: "Person | None" = None, times: int | None = 1) -> Fault:
        """The connection over which the next stanza would come stays and answers, and no stanza comes over it any more."""
        return self._stand("deaf", phone=phone, times=times)

    def hold_receipts(self, contact: "Person | None" = None) -> Fault:
        """The contact's own receipts (delivered, read at once) are kept until the fault is ended."""
        return self._stand("hold_receipts", contact=contact)

    def _stand(
        self,
        kind: str,
        *,
        phone: "Person | None" = None,
        contact: "Person | None" = None,
        times: int | None = None,
        seconds: float = 0.0,
        code: int = 0,
        answers: bool = True,
    ) -> Fault:
        return self._book.add(
            Fault(
                kind=kind,
                phone=None if phone is None else phone.number,
                contact=None if contact is None else contact.number,
                times=times,
                seconds=seconds,
                code=code,
                answers=answers,
            )
        )
