"""Pairing: the codes that are shown one after the other, which of them is good now, and the passkey that may be wanted after it."""

import asyncio
import os
import random
import string
from dataclasses import dataclass, field

from connector.contract import engine_pb2
from local.network.passkey import Passkey, request_options

QR_CODES = 6
_PHONE_CODE_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
"""WhatsApp's: no letter that looks like a digit."""


@dataclass(frozen=True, kw_only=True)
class PasskeyStep:
    """The phone has taken the code, and WhatsApp waits for the passkey of its account."""

    phone: str
    passkey: Passkey
    expires_at: float
    challenge: bytes = field(default_factory=lambda: os.urandom(32))

    def request(self) -> engine_pb2.PasskeyRequest:
        return engine_pb2.PasskeyRequest(
            options_json=request_options(self.challenge), expires_at_unix_ms=int(self.expires_at * 1000)
        )


@dataclass(kw_only=True)
class Pairing:
    """By QR six codes, by phone number one. `phone` is the number whose owner must enter the code; None: by QR."""

    phone: str | None
    random: random.Random
    shown: int = 0
    code: str | None = None
    expires_at: float = 0.0
    taken_by: str | None = None
    """The phone whose account has a passkey, once it has taken the code."""
    code_taken: asyncio.Event = field(default_factory=asyncio.Event)
    passkey: PasskeyStep | None = None

    def take_code(self, phone: str) -> None:
        self.taken_by, self.code = phone, None
        self.code_taken.set()

    def next_code(self, now: float, lifetime_s: float) -> engine_pb2.PairingCode | None:
        """Shows the next code, in place of the one before; None when there are no more."""
        if self.shown == (QR_CODES if self.phone is None else 1):
            self.code = None
            return None
        self.shown += 1
        self.expires_at = now + lifetime_s
        expires_at_unix_ms = int(self.expires_at * 1000)
        if self.phone is None:
            self.code = self._qr()
            return engine_pb2.PairingCode(qr=self.code, expires_at_unix_ms=expires_at_unix_ms)
        letters = "".join(self.random.choices(_PHONE_CODE_ALPHABET, k=8))
        self.code = f"{letters[:4]}-{letters[4:]}"
        return engine_pb2.PairingCode(phone_code=self.code, expires_at_unix_ms=expires_at_unix_ms)

    def accepts(self, code: str, now: float) -> bool:
        return self.code == code and now < self.expires_at

    def _qr(self) -> str:
        """As long and as shaped as a real one: a reference and three keys in base64, so that drawings of it are realistic."""
        alphabet = string.ascii_letters + string.digits + "+/"
        keys = ["".join(self.random.choices(alphabet, k=43)) + "=" for _ in range(3)]
        return ",".join(["2@" + "".join(self.random.choices(alphabet, k=84)), *keys])
