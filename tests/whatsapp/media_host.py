"""WhatsApp's media host, far enough for what is downloaded: encrypted bodies under a path, which may be gone.

The keys and the form of a body are those of whatsmeow's download.go: HKDF-SHA256 of the media key, AES-256-CBC, and ten bytes of an
HMAC-SHA256 over IV and ciphertext.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HOST: Final = "mmg.whatsapp.net"
_HISTORY: Final = b"WhatsApp History Keys"
_BLOCK_BITS: Final = 128


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What a notification says of a body."""

    direct_path: str
    media_key: bytes
    sha256: bytes
    encrypted_sha256: bytes
    size: int


class MediaHost:
    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}
        self.downloads: list[str] = []
        """The paths that were asked for and found, in order."""

    def upload_history(self, content: bytes) -> Upload:
        media_key = secrets.token_bytes(32)
        keys = HKDF(algorithm=hashes.SHA256(), length=112, salt=None, info=_HISTORY).derive(media_key)
        iv, cipher_key, mac_key = keys[:16], keys[16:48], keys[48:80]
        padder = padding.PKCS7(_BLOCK_BITS).padder()
        encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).encryptor()
        encrypted = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
        body = encrypted + hmac.digest(mac_key, iv + encrypted, "sha256")[:10]
        path = f"/mms/md-msg-hist/{secrets.token_urlsafe(12)}"
        self._bodies[path] = body
        return Upload(
            direct_path=f"{path}?ccb=11-4",
            media_key=media_key,
            sha256=hashlib.sha256(content).digest(),
            encrypted_sha256=hashlib.sha256(body).digest(),
            size=len(content),
        )

    def remove(self, upload: Upload) -> None:
        """It answers 404 from now on."""
        del self._bodies[_path(upload.direct_path)]

    def find(self, target: str) -> bytes | None:
        """The body that a GET asks for."""
        body = self._bodies.get(_path(target))
        if body is not None:
            self.downloads.append(_path(target))
        return body


def _path(target: str) -> str:
    return target.partition("?")[0]
