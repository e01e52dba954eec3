"""The pairing code, or the passkey's request, that is shown now: in private/state for as long as it is good, erased even when the engine
says nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connector import passkey
from connector.contract import engine_pb2 as pb
from connector.pairing import PASSKEY_EXPIRED, expires_at, expiry_in_words, private_state
from connector.telling import Telling
from core.account import NO_CODES, Status
from core.errors import ErrorCode, described

_EXPIRY_GRACE_S = 1.0
"""The engine shows the next code just when one expires: that one is then the one to erase."""


@dataclass(kw_only=True)
class CodeDisplay:
    telling: Telling
    _code: pb.PairingCode | pb.PasskeyRequest | None = field(default=None, init=False)
    _shown: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def show(self, code: pb.PairingCode) -> None:
        await self._show(code, private_state(code, datetime.now(UTC)))

    async def ask_passkey(self, request: pb.PasskeyRequest) -> None:
        """In place of the code, which was used."""
        await self._show(request, passkey.private_state(request, datetime.now(UTC)))

    async def _show(self, code: pb.PairingCode | pb.PasskeyRequest, private: Mapping[str, Any]) -> None:
        self._code = code
        self._shown.set()
        await self.telling.tell(Status.QR_READY, {"lastError": None}, private=private)

    def forget(self) -> None:
        """Pairing is over: whoever says how erases the code with the same write."""
        self._code = None

    async def expire(self, reason: str) -> None:
        """`reason` is the engine's word."""
        self._code = None
        error = described(ErrorCode.PAIRING_EXPIRED, expiry_in_words(reason))
        await self.telling.tell(Status.NEEDS_QR, {"lastError": error}, private=NO_CODES)

    async def erase_expired(self) -> None:
        """The engine says when pairing ends; this holds even when it does not. Runs until it is cancelled."""
        while True:
            await self._shown.wait()
            code = self._code
            if code is not None:
                left_s = (expires_at(code) - datetime.now(UTC)).total_seconds()
                await asyncio.sleep(max(0.0, left_s) + _EXPIRY_GRACE_S)
            if self._code is code:
                self._shown.clear()
                if code is not None:
                    await self.expire(PASSKEY_EXPIRED if isinstance(code, pb.PasskeyRequest) else "")
