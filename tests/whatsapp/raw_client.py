"""A client without whatsmeow: handshake and nodes, for the tests of what no correct client does."""

import asyncio
import base64
import os
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tests.whatsapp.device import Device
from tests.whatsapp.jid import SERVER
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.node import Node
from tests.whatsapp.noise import STREAM_HEADER, FrameCiphers, HandshakeState
from tests.whatsapp.party import Party
from tests.whatsapp.phone import Phone
from tests.whatsapp.protobufs import CODEC, adv, wa6
from tests.whatsapp.websocket import frame

_UPGRADE: Final = b"GET /ws/chat HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
_PATIENCE_S: Final = 10.0
_MASKED: Final = 0x80
_DEVICE_SIGNATURE: Final = b"\x06\x01"
_SECRET: Final = bytes(32)


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

    async def become_active(self) -> None:
        """What a client's first requests end with; the offline queue follows the answer."""
        self.send(Node("iq", {"id": "active", "type": "set", "xmlns": "passive", "to": SERVER}, [Node("active")]))
        while (await self.receive()).text("id") != "active":
            pass

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


@dataclass
class Newcomer:
    """A client that is not linked yet. `signs_as` signs for the device in the end."""

    port: int
    party: Party = field(default_factory=Party)
    noise_key: KeyPair = field(default_factory=KeyPair)
    signs_as: KeyPair | None = None

    async def pair(self, phone: Phone) -> Device:
        """Shows a code, which the phone scans."""
        async with RawClient(self.port, self.registration(), self.noise_key) as client:
            offer = await client.receive()
            ref = offer.need("pair-device").children[0].data.decode()
            scanning = asyncio.create_task(phone.scan(self.qr(ref)))
            client.send(self._accept(await client.receive()))
            return await scanning

    def qr(self, ref: str) -> str:
        keys = (self.noise_key.public, self.party.identity.public, _SECRET)
        return ",".join([ref, *(base64.b64encode(key).decode() for key in keys)])

    def log_in(self, device: Device) -> RawClient:
        payload = wa6.ClientPayload(username=int(device.number_jid.user), device=device.number)
        return RawClient(self.port, payload, self.noise_key)

    def registration(self) -> Any:
        bundle, payload = self.party.bundle(), wa6.ClientPayload()
        data = payload.devicePairingData
        data.eRegid = bundle.registration_id.to_bytes(4, "big")
        data.eIdent, data.eSkeyID = bundle.identity, bundle.signed_id.to_bytes(3, "big")
        data.eSkeyVal, data.eSkeySig = bundle.signed_public, bundle.signed_signature
        return payload

    def _accept(self, success: Node) -> Node:
        sealed = adv.ADVSignedDeviceIdentityHMAC.FromString(success.need("pair-success", "device-identity").data)
        signed = adv.ADVSignedDeviceIdentity.FromString(sealed.details)
        identity = self.party.identity
        message = _DEVICE_SIGNATURE + signed.details + identity.public + signed.accountSignatureKey
        signed.deviceSignature = (self.signs_as or identity).sign(message)
        answer = Node("pair-device-sign", {}, [Node("device-identity", {}, signed.SerializeToString())])
        return Node("iq", {"to": SERVER, "type": "result", "id": success.need_text("id")}, [answer])
