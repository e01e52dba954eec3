"""One client's connection: from the Noise handshake through its stanzas to its end."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError

from tests.whatsapp.jid import SERVER
from tests.whatsapp.node import Attribute, Malformed, Node
from tests.whatsapp.noise import STREAM_HEADER, FrameCiphers, Responder
from tests.whatsapp.offline_queue import Entry
from tests.whatsapp.protobufs import CODEC
from tests.whatsapp.record import Login, Stanza

if TYPE_CHECKING:
    from tests.whatsapp.device import Device
    from tests.whatsapp.listener import WebSocket
    from tests.whatsapp.pairing_passkey import PasskeyPairing
    from tests.whatsapp.world import World

_LENGTH_BYTES: Final = 3
_FLUSH_AT_ONCE: Final = 100
_REQUEST_S: Final = 10.0
_READ_S: Final = 0.3


class ConnectionEnded(Exception):
    """The client's connection ended before it answered."""


class PairingRefused(Exception):
    """The phone or the client does not go on: the message says why."""


class RequestRefused(Exception):
    """A client's request is answered with this error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Connection:
    """Its stanzas are handled one after the other, in the order in which they came, without waiting in between."""

    def __init__(
        self,
        world: "World",
        socket: "WebSocket",
        responder: Responder,
        *,
        opened: "Callable[[Connection], None]",
        handle: "Callable[[Connection, Node], None]",
    ) -> None:
        self.world = world
        self.device: Device | None = None
        """Set once it has logged in."""
        self.login = 0
        """Which of the device's logins it is."""
        self.logged: Login | None = None
        """That login, as it is on record."""
        self.registration: Any = None
        """While it wants to be paired: wa6.ClientPayload.DevicePairingRegistrationData."""
        self.refs: list[str] = []
        """What its QR codes begin with."""
        self.passkey_pairing: PasskeyPairing | None = None
        """While the account's passkey is wanted of it."""
        self.payload: Any = None
        self.noise_key = b""
        self.is_active = False
        """The client has finished its first requests."""
        self.is_deaf = False
        """Stanzas wait for the next connection; all else is answered."""
        self.is_flushed = False
        """All that waited is written: what comes now may go directly."""
        self.ended = asyncio.Event()
        self._socket = socket
        self._responder: Responder | None = responder
        self._opened, self._handle = opened, handle
        self._ciphers: FrameCiphers | None = None
        self._buffer = b""
        self._has_header = False
        self._is_answered = False
        self._replies: dict[str, asyncio.Future[Node]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._flushed_number = 0

    # Sending

    def send(self, node: Node) -> None:
        if self._ciphers is None or self.ended.is_set():
            return
        self._note(node, is_from_client=False)
        self._send_frame(self._ciphers.seal(CODEC.encode(node)))

    def acknowledge(self, node: Node, **attributes: Attribute) -> None:
        """The server's `ack` for a stanza of the client."""
        given: dict[str, Attribute] = {
            "class": node.tag, "id": node.attributes.get("id"), "from": node.attributes.get("to") or SERVER,
        }  # fmt: skip
        self.send(Node("ack", {**given, **attributes}))

    async def request(self, node: Node) -> Node:
        """Sends an iq and waits for its answer. Raises ConnectionEnded and TimeoutError."""
        reply = asyncio.get_running_loop().create_future()
        self._replies[node.need_text("id")] = reply
        self.send(node)
        return await asyncio.wait_for(reply, _REQUEST_S)

    def answered(self, node: Node) -> bool:
        """Whether somebody waited for this answer of the client."""
        reply = self._replies.pop(node.need_text("id"), None)
        if reply is None or reply.done():
            return False
        reply.set_result(node)
        return True

    def deliver(self, entry: Entry) -> None:
        """Writes a queued stanza, unless the flush under way will."""
        if not self.is_flushed or self.device is None or self._is_deaf(self.device):
            return
        person = self.world.person(entry.stanza.jid("from"))
        delay = self.world.faults.take(
            "delay", phone=self.device.phone.number, contact=None if person is None else person.number
        )
        if delay is None:
            self.send(entry.stanza)
        else:
            asyncio.get_running_loop().call_later(delay.seconds, self.send, entry.stanza)

    def _is_deaf(self, device: "Device") -> bool:
        if not self.is_deaf:
            self.is_deaf = self.world.faults.take("deaf", phone=device.phone.number) is not None
        return self.is_deaf

    def start_flush(self) -> None:
        """Writes what waited, then what came meanwhile, in order; live stanzas follow only then."""
        self.run(self._flush())

    async def _flush(self) -> None:
        device = self.device
        if device is None:
            return
        waiting = device.waiting.after(0)
        if waiting:
            tags = [entry.stanza.tag for entry in waiting]
            counts: dict[str, Attribute] = {
                "count": len(tags),
                "message": tags.count("message"),
                "receipt": tags.count("receipt"),
                "notification": tags.count("notification"),
                "call": tags.count("call"),
                "appdata": 0,
            }
            self.send(Node("ib", {"from": SERVER}, [Node("offline_preview", counts)]))
        cut = self.world.faults.take("cut_backlog", phone=device.phone.number) if waiting else None
        for index, entry in enumerate(waiting):
            stanza = entry.stanza
            if cut is not None and index == cut.code:
                await asyncio.sleep(_READ_S)  # what was written so far is read
                self.abort()
                return
            if stanza.tag == "message" and self._is_lost(device, stanza):
                device.waiting.lose(entry)
                self._flushed_number = entry.number
                continue
            self.send(Node(stanza.tag, {**stanza.attributes, "offline": 0}, stanza.content))
            self._flushed_number = entry.number
            if index % _FLUSH_AT_ONCE == _FLUSH_AT_ONCE - 1:
                await asyncio.sleep(0)
        self.send(Node("ib", {"from": SERVER}, [Node("offline", {"count": len(waiting)})]))
        for entry in device.waiting.after(self._flushed_number):
            self.send(entry.stanza)
        self.is_flushed = True
        self.world.notify()

    def _is_lost(self, device: "Device", stanza: Node) -> bool:
        """A message of a person; what the account's own phone says to its devices is not meant."""
        sender = self.world.person(stanza.jid("from"))
        if sender is None or stanza.text("category") == "peer":
            return False
        return self.world.faults.take("lose_backlog", phone=device.phone.number, contact=sender.number) is not None

    # Ending

    def end(self, node: Node, after_s: float) -> None:
        """Says the last word, and closes when the client had the time to read it."""
        self.send(node)
        asyncio.get_running_loop().call_later(after_s, self._socket.close)

    async def end_and_wait(self, node: Node, within_s: float = 1.0) -> None:
        """The same, and returns when the connection is gone."""
        self.send(node)
        try:
            await asyncio.wait_for(self.ended.wait(), within_s)
        except TimeoutError:
            self._socket.close()

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        self._socket.abort()
        self.connection_lost()  # at once for this side: no stanza goes to it any more

    def half_close(self) -> None:
        self._socket.half_close()

    def fall_silent(self) -> None:
        self._socket.fall_silent()

    def connection_lost(self) -> None:
        if self.ended.is_set():
            return
        self.ended.set()
        self.world.connections.discard(self)
        if self.device is not None and self.device.connection is self:
            self.device.connection = None
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionEnded("the client's connection ended"))
        for task in self._tasks:
            task.cancel()
        self.world.notify()

    def run(self, work: Any) -> None:
        """Runs a coroutine that ends with the connection."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Receiving

    def message_received(self, data: bytes) -> None:
        """A WebSocket message: frames may be split over several, or share one."""
        self._buffer += data
        try:
            if not self._has_header and not self._take_header():
                return
            while not self.ended.is_set():
                frame = self._take_frame()
                if frame is None:
                    return
                self._frame_received(frame)
        except (Malformed, InvalidTag, DecodeError, KeyError, ValueError) as error:
            self.world.record.add_problem("malformed", f"{type(error).__name__}: {error}")
            self.abort()
        except Exception as error:  # a process edge: asyncio would only log it, and a test must fail on it
            self.world.record.add_problem("server_failed", f"{type(error).__name__}: {error}")
            self.abort()
            raise

    def _take_header(self) -> bool:
        size = len(STREAM_HEADER)
        if len(self._buffer) < size:
            return False
        header, self._buffer = self._buffer[:size], self._buffer[size:]
        if header != STREAM_HEADER:
            raise Malformed(f"unknown stream header {header!r}")
        self._has_header = True
        return True

    def _take_frame(self) -> bytes | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if len(self._buffer) < end:
            return None
        frame, self._buffer = self._buffer[_LENGTH_BYTES:end], self._buffer[end:]
        return frame

    def _frame_received(self, frame: bytes) -> None:
        if self._ciphers is not None:
            node = CODEC.decode(self._ciphers.open(frame))
            self._note(node, is_from_client=True)
            self._handle(self, node)
            self.world.notify()
        elif self._responder is not None and not self._is_answered:
            self._is_answered = True
            self._send_frame(self._responder.answer(frame))
        elif self._responder is not None:
            introduction = self._responder.finish(frame)
            self._responder = None
            self._ciphers, self.noise_key = introduction.ciphers, introduction.noise_key
            self.payload = introduction.payload
            self._opened(self)
            self.world.notify()

    def _send_frame(self, frame: bytes) -> None:
        self._socket.send(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)

    def _note(self, node: Node, *, is_from_client: bool) -> None:
        if self.world.record.keeps_stanzas:
            device = "unpaired" if self.device is None else repr(self.device)
            self.world.record.stanzas.append(
                Stanza(at=time.time(), device=device, is_from_client=is_from_client, text=str(node))
            )
