"""HKDF and HMAC over SHA-256, one call each: what the handshake and every message use many times."""

import hmac


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def hkdf(secret: bytes, info: bytes, size: int, salt: bytes = bytes(32)) -> bytes:
    """RFC 5869. The one-shot HMAC of OpenSSL is several times faster here than an HKDF object."""
    key = hmac_sha256(salt, secret)
    block = out = b""
    counter = 1
    while len(out) < size:
        block = hmac_sha256(key, block + info + bytes((counter,)))
        out += block
        counter += 1
    return out[:size]
