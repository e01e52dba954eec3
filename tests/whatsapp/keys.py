"""Curve25519 keys that can both agree (X25519) and sign (XEdDSA, as Signal verifies it).

Deriving the X25519 scalar from an Ed25519 seed makes an ordinary Ed25519 signature pass as XEdDSA, once the sign of the Edwards
point stands in the signature's top bit: no curve arithmetic is needed to sign.
"""

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_PRIME: Final = 2**255 - 19
_SIGN_BIT: Final = 0x80


class RatchetKey:
    """A key pair that only agrees: what ratchets use up by the thousand."""

    __slots__ = ("_private", "public")

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer: bytes) -> bytes:
        return self._private.exchange(X25519PublicKey.from_public_bytes(peer))


class KeyPair:
    """A key pair that agrees and signs. Keys travel as 32 bytes; Signal's type byte is added by who needs it."""

    def __init__(self) -> None:
        seed = os.urandom(32)
        self._signing = Ed25519PrivateKey.from_private_bytes(seed)
        self._private = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
        self.public = self._private.public_key().public_bytes_raw()
        self._sign_bit = self._signing.public_key().public_bytes_raw()[31] & _SIGN_BIT

    def agree(self, peer: bytes) -> bytes:
        return self._private.exchange(X25519PublicKey.from_public_bytes(peer))

    def sign(self, message: bytes) -> bytes:
        signature = bytearray(self._signing.sign(message))
        signature[63] |= self._sign_bit
        return bytes(signature)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of this Montgomery key signed the message."""
    u = int.from_bytes(public, "little") & ((1 << 255) - 1)
    y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME
    edwards = bytearray(y.to_bytes(32, "little"))
    edwards[31] |= signature[63] & _SIGN_BIT
    plain_signature = signature[:63] + bytes((signature[63] & ~_SIGN_BIT & 0xFF,))
    try:
        Ed25519PublicKey.from_public_bytes(bytes(edwards)).verify(plain_signature, message)
    except InvalidSignature:
        return False
    return True
