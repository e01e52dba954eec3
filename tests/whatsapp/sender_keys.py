"""A sender key: with it a group's member encrypts a message once for all who have the key (Signal's group protocol, version 3)."""

import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.whatsapp.hashing import hkdf, hmac_sha256
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.ratchet import encode_fields, typed

_VERSION: Final = b"\x33"
_BLOCK_BYTES: Final = 16


@dataclass
class SenderKey:
    """One member's in one group. Gives each message's key once."""

    id: int = field(default_factory=lambda: int.from_bytes(os.urandom(4), "big") >> 1)
    _chain: bytes = field(default_factory=lambda: os.urandom(32))
    _iteration: int = 0
    _signing: KeyPair = field(default_factory=KeyPair)

    def distribution(self) -> bytes:
        """What a device needs to read the messages from now on."""
        fields: dict[int, int | bytes] = {
            1: self.id,
            2: self._iteration,
            3: self._chain,
            4: typed(self._signing.public),
        }
        return _VERSION + encode_fields(fields)

    def encrypt(self, plaintext: bytes) -> bytes:
        keys = hkdf(hmac_sha256(self._chain, b"\x01"), b"WhisperGroup", 48)
        missing = _BLOCK_BYTES - len(plaintext) % _BLOCK_BYTES
        encryptor = Cipher(algorithms.AES(keys[16:]), modes.CBC(keys[:16])).encryptor()
        body = encryptor.update(plaintext + bytes((missing,)) * missing) + encryptor.finalize()
        message = _VERSION + encode_fields({1: self.id, 2: self._iteration, 3: body})
        self._chain = hmac_sha256(self._chain, b"\x02")
        self._iteration += 1
        return message + self._signing.sign(message)
