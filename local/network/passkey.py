"""The passkey of an account: its owner signs WhatsApp's request with it, and WhatsApp checks what was signed.

Both sides are as WebAuthn has them (https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion), with one algorithm, ES256.
"""

import base64
import hashlib
import json
import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

RELYING_PARTY: Final = "whatsapp.com"
ORIGIN: Final = "https://web.whatsapp.com"
TIMEOUT_MS: Final = 600_000
_ES256: Final = ec.ECDSA(hashes.SHA256())
_PRESENT_AND_VERIFIED: Final = 0x01 | 0x04
_FLAGS_AT: Final = 32


class AnswerRefused(Exception):
    """WhatsApp does not take the answer; the message says why."""


class Passkey:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = os.urandom(16)

    def sign(self, options: str, *, origin: str = ORIGIN) -> str:
        """What a browser at this origin answers to the request, both in WebAuthn's JSON."""
        request = json.loads(options)
        client_data = json.dumps(
            {"type": "webauthn.get", "challenge": request["challenge"], "origin": origin, "crossOrigin": False}
        ).encode()
        authenticator_data = (
            hashlib.sha256(request["rpId"].encode()).digest() + bytes([_PRESENT_AND_VERIFIED]) + bytes(4)
        )
        signature = self._key.sign(authenticator_data + hashlib.sha256(client_data).digest(), _ES256)
        return json.dumps(
            {
                "id": encoded(self.credential_id),
                "rawId": encoded(self.credential_id),
                "type": "public-key",
                "response": {
                    "clientDataJSON": encoded(client_data),
                    "authenticatorData": encoded(authenticator_data),
                    "signature": encoded(signature),
                    "userHandle": None,
                },
            }
        )

    def check(self, answer: str, challenge: bytes) -> None:
        """Raises AnswerRefused unless this passkey has signed this challenge for WhatsApp, at a page of WhatsApp's."""
        try:
            given = json.loads(answer)
            signed = {name: _decoded(given["response"][name]) for name in ("clientDataJSON", "authenticatorData")}
            client_data = json.loads(signed["clientDataJSON"])
            signature, credential_id = _decoded(given["response"]["signature"]), _decoded(given["rawId"])
        except (ValueError, KeyError, TypeError) as error:
            raise AnswerRefused("it is no assertion") from error
        data = signed["authenticatorData"]
        expected = {"type": "webauthn.get", "challenge": encoded(challenge), "origin": ORIGIN}
        if credential_id != self.credential_id:
            raise AnswerRefused("it is of another passkey")
        if not expected.items() <= client_data.items():
            raise AnswerRefused("its client data are not those of the request")
        if data[:_FLAGS_AT] != hashlib.sha256(RELYING_PARTY.encode()).digest():
            raise AnswerRefused("it was signed for another relying party")
        if data[_FLAGS_AT] & _PRESENT_AND_VERIFIED != _PRESENT_AND_VERIFIED:
            raise AnswerRefused("its owner was not verified")
        try:
            self._key.public_key().verify(signature, data + hashlib.sha256(signed["clientDataJSON"]).digest(), _ES256)
        except InvalidSignature as error:
            raise AnswerRefused("the signature is wrong") from error


def request_options(challenge: bytes) -> str:
    """WhatsApp's request, in the form and with the values that were seen of it (https://github.com/WhiskeySockets/Baileys/pull/2689)."""
    return json.dumps(
        {
            "challenge": encoded(challenge),
            "timeout": TIMEOUT_MS,
            "rpId": RELYING_PARTY,
            "allowCredentials": [],
            "userVerification": "required",
            "extensions": {"uvm": True},
        }
    )


def challenge_of(answer: str) -> bytes:
    """The challenge that an answer names. Raises ValueError where it is no assertion."""
    try:
        client_data = json.loads(_decoded(json.loads(answer)["response"]["clientDataJSON"]))
        return _decoded(client_data["challenge"])
    except (KeyError, TypeError) as error:
        raise ValueError("it is no assertion") from error


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
