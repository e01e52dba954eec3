"""Noise_XX_25519_AESGCM_SHA256 as WhatsApp uses it: the responder's side, and the ciphers that follow."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.whatsapp.hashing import hkdf
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.protobufs import wa6

PATTERN: Final = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
"""Exactly 32 bytes, so it stands for its own hash."""
STREAM_HEADER: Final = b"WA\x06\x03"
"""What a client sends first; the last byte is the dictionaries' version."""


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")


class HandshakeState:
    """The hash, the chaining key and the cipher that both sides derive step by step. Sealing and opening share one counter."""

    def __init__(self, prologue: bytes) -> None:
        self._hash = self._salt = PATTERN
        self._cipher = AESGCM(PATTERN)
        self._counter = 0
        self.absorb(prologue)

    def absorb(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def mix(self, secret: bytes) -> None:
        self._salt, key = self._expand(secret)
        self._cipher, self._counter = AESGCM(key), 0

    def seal(self, plaintext: bytes) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._counter), plaintext, self._hash)
        self._counter += 1
        self.absorb(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        plaintext = self._cipher.decrypt(_nonce(self._counter), sealed, self._hash)
        self._counter += 1
        self.absorb(sealed)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The keys from client to server, and from server to client."""
        return self._expand(b"")

    def _expand(self, secret: bytes) -> tuple[bytes, bytes]:
        keys = hkdf(secret, b"", 64, self._salt)
        return keys[:32], keys[32:]


class FrameCiphers:
    """The two ciphers of an open connection, each with its own counter."""

    def __init__(self, *, receiving_key: bytes, sending_key: bytes) -> None:
        self._receiving, self._sending = AESGCM(receiving_key), AESGCM(sending_key)
        self._received = self._sent = 0

    def seal(self, plaintext: bytes) -> bytes:
        sealed = self._sending.encrypt(_nonce(self._sent), plaintext, None)
        self._sent += 1
        return sealed

    def open(self, sealed: bytes) -> bytes:
        plaintext = self._receiving.decrypt(_nonce(self._received), sealed, None)
        self._received += 1
        return plaintext


@dataclass(frozen=True, kw_only=True)
class Introduction:
    """What a client has said of itself when the handshake is done."""

    ciphers: FrameCiphers
    noise_key: bytes
    payload: Any
    """wa6.ClientPayload"""


class Responder:
    """The server's side of one handshake: `answer` the hello, then `finish`. Raises InvalidTag where keys do not fit."""

    def __init__(self, prologue: bytes, static: KeyPair, certificates: bytes) -> None:
        self._state = HandshakeState(prologue)
        self._static, self._certificates = static, certificates
        self._ephemeral = KeyPair()

    def answer(self, frame: bytes) -> bytes:
        client_ephemeral = wa6.HandshakeMessage.FromString(frame).clientHello.ephemeral
        self._state.absorb(client_ephemeral)
        self._state.absorb(self._ephemeral.public)
        self._state.mix(self._ephemeral.agree(client_ephemeral))
        reply = wa6.HandshakeMessage()
        reply.serverHello.ephemeral = self._ephemeral.public
        reply.serverHello.static = self._state.seal(self._static.public)
        self._state.mix(self._static.agree(client_ephemeral))
        reply.serverHello.payload = self._state.seal(self._certificates)
        return bytes(reply.SerializeToString())

    def finish(self, frame: bytes) -> Introduction:
        message = wa6.HandshakeMessage.FromString(frame).clientFinish
        noise_key = self._state.open(message.static)
        self._state.mix(self._ephemeral.agree(noise_key))
        payload = wa6.ClientPayload.FromString(self._state.open(message.payload))
        receiving_key, sending_key = self._state.split()
        ciphers = FrameCiphers(receiving_key=receiving_key, sending_key=sending_key)
        return Introduction(ciphers=ciphers, noise_key=noise_key, payload=payload)
