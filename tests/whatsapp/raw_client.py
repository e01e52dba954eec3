"""A client without whatsmeow: handshake and nodes, for the tests of what no correct client does."""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tests.whatsapp.keys import KeyPair
from tests.whatsapp.node import Node
from tests.whatsapp.noise import STREAM_HEADER, FrameCiphers, HandshakeState
from tests.whatsapp.protobufs import CODEC, wa6
from tests.whatsapp.websocket import frame

_UPGRADE: Final = b"GET /ws/chat HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
_PATIENCE_S: Final = 10.0
_MASKED: Final = 0x80


@dataclass
class Initiator:
    """The client's side of the handshake, as whatsmeow does it."""

    static: KeyPair = field(default_factory=KeyPair)
    prologue: bytes = STREAM_HEADER
    server_static: bytes = b""
    certificates: bytes = b""

    def __post_init__(self) -> None:
        self._state = HandshakeState(self.prologue)
        self._ephemeral = KeyPair()

    def hello(self) -> bytes:
        self._state.absorb(self._ephemeral.public)
        message = wa6.HandshakeMessage()
        message.clientHello.ephemeral = self._ephemeral.public
        return bytes(message.SerializeToString())

    def finish(self, answer: bytes, payload: bytes = b"") -> bytes:
        server = wa6.HandshakeMessage.FromString(answer).serverHello
        self._state.absorb(server.ephemeral)
        self._state.mix(self._ephemeral.agree(server.ephemeral))
        self.server_static = self._state.open(server.static)
        self._state.mix(self._ephemeral.agree(self.server_static))
        self.certificates = self._state.open(server.payload)
        message = wa6.HandshakeMessage()
        message.clientFinish.static = self._state.seal(self.static.public)
        self._state.mix(self.static.agree(server.ephemeral))
        message.clientFinish.payload = self._state.seal(payload)
        return bytes(message.SerializeToString())

    def ciphers(self) -> FrameCiphers:
        sending_key, receiving_key = self._state.split()
        return FrameCiphers(receiving_key=receiving_key, sending_key=sending_key)


class RawClient:
    """Over a plain WebSocket. Use as an async context manager."""

    def __init__(self, port: int, payload: Any, noise_key: KeyPair | None = None) -> None:
        self._port, self._payload = port, payload
        self._initiator = Initiator(static=noise_key or KeyPair())

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await self._introduce()
        except BaseException:
            self._writer.close()
            raise
        return self

    async def _introduce(self) -> None:
        self._writer.write(_UPGRADE)
        await self._reader.readuntil(b"\r\n\r\n")
        self._send_frame(self._initiator.hello(), STREAM_HEADER)
        self._send_frame(self._initiator.finish(await self._read_frame(), self._payload.SerializeToString()))
        self._ciphers = self._initiator.ciphers()

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    def send(self, node: Node) -> None:
        self._send_frame(self._ciphers.seal(CODEC.encode(node)))

    async def receive(self) -> Node:
        return CODEC.decode(self._ciphers.open(await self._read_frame()))

    def send_raw(self, data: bytes) -> None:
        """A frame that nothing sealed."""
        self._send_frame(data)

    def _send_frame(self, data: bytes, prefix: bytes = b"") -> None:
        payload = prefix + len(data).to_bytes(3, "big") + data
        unmasked, mask = frame(payload), os.urandom(4)
        head = bytearray(unmasked[: len(unmasked) - len(payload)])
        head[1] |= _MASKED
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._writer.write(bytes(head) + mask + masked)

    async def _read_frame(self) -> bytes:
        """The server sends one frame a message."""
        async with asyncio.timeout(_PATIENCE_S):
            size = (await self._reader.readexactly(2))[1]
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
            return (await self._reader.readexactly(size))[3:]
