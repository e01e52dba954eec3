"""The key that stands in for Google's: it signs identity tokens, good ones for the local services and bad ones for tests."""

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

ISSUER = "https://accounts.google.com"
TOKEN_LIFETIME_S = 3600


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """An RSA key under a key id. Its file holds both, so that a test can sign with the key of a running server."""

    key_id: str
    private_pem: str = field(repr=False)

    @classmethod
    def generate(cls) -> "SigningKey":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return cls(key_id=secrets.token_hex(20), private_pem=pem.decode())

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        key_id, _, pem = path.read_text().partition("\n")
        return cls(key_id=key_id, private_pem=pem)

    def save(self, path: Path) -> None:
        path.touch(mode=0o600)
        path.write_text(f"{self.key_id}\n{self.private_pem}")

    def public_keys(self) -> dict[str, str]:
        """The key set as Google's certificate address answers it: key id to PEM."""
        key = serialization.load_pem_private_key(self.private_pem.encode(), password=None)
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return {self.key_id: pem.decode()}

    def token(
        self,
        *,
        audience: str,
        service_account: str,
        issuer: str = ISSUER,
        email_verified: bool = True,
        issued_at: float | None = None,
    ) -> str:
        """An identity token as the metadata server gives it, good for an hour from `issued_at` (now unless given)."""
        issued_at_s = int(time.time() if issued_at is None else issued_at)
        claims = {
            "iss": issuer,
            "aud": audience,
            "azp": service_account,
            "sub": service_account,
            "email": service_account,
            "email_verified": email_verified,
            "iat": issued_at_s,
            "exp": issued_at_s + TOKEN_LIFETIME_S,
        }
        signer = crypt.RSASigner.from_string(self.private_pem, self.key_id)
        token: bytes = jwt.encode(signer, claims)
        return token.decode()
