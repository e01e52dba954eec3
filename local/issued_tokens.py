"""The identity tokens with which the local Cloud Tasks and Cloud Scheduler call the functions as a service account."""

import time
from typing import Any

import aiohttp

from local.signing import TOKEN_LIFETIME_S

_RENEWED_BEFORE_S = 300.0


class IssuedTokens:
    """Asks the identity server (local/identity_server.py); a token is kept until shortly before it expires."""

    def __init__(self, issuer_url: str, session: aiohttp.ClientSession) -> None:
        self._issuer_url = issuer_url
        self._session = session
        self._kept: dict[tuple[str, str], tuple[str, float]] = {}

    async def token(self, account: str, audience: str) -> str:
        """Raises aiohttp.ClientError and TimeoutError."""
        token, until = self._kept.get((account, audience), ("", 0.0))
        if time.monotonic() < until:
            return token
        url = f"{self._issuer_url}/v1/projects/-/serviceAccounts/{account}:generateIdToken"
        async with self._session.post(url, json={"audience": audience, "includeEmail": True}) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
        token = str(answer["token"])
        self._kept[account, audience] = (token, time.monotonic() + TOKEN_LIFETIME_S - _RENEWED_BEFORE_S)
        return token
