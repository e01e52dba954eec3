"""Verifies identity tokens as Google's front end does (signature, expiry, issuer, audience), and returns the caller's e-mail."""

import asyncio
import json
import time
from collections.abc import Collection
from typing import Any

import aiohttp
import google.auth.exceptions
from google.auth import jwt

from local.signing import ISSUER

_CLOCK_SKEW_S = 10
_MOST_REMEMBERED = 1000


class TokenInvalid(Exception):
    """Not an identity token of Google's for one of the audiences, or no longer."""


class GoogleTokens:
    """Remembers a verified token until the token expires, so that not every call costs a verification."""

    def __init__(self, certs_url: str, session: aiohttp.ClientSession) -> None:
        self._certs_url = certs_url
        self._session = session
        self._certs: dict[str, str] = {}
        self._fetching = asyncio.Lock()
        self._verified: dict[str, dict[str, Any]] = {}

    async def account(self, token: str, audiences: Collection[str]) -> str:
        """The e-mail of the account that the token was issued to, for one of the audiences. Raises TokenInvalid."""
        claims = await self._claims(token)
        if claims.get("aud") not in audiences or claims.get("email_verified") is not True:
            raise TokenInvalid
        return str(claims.get("email"))

    async def _claims(self, token: str) -> dict[str, Any]:
        known = self._verified.get(token)
        if known is not None and known["exp"] + _CLOCK_SKEW_S > time.time():
            return known
        try:
            key_id = str(jwt.decode_header(token).get("kid"))
            if key_id not in self._certs:
                await self._fetch()
            claims: dict[str, Any] = dict(jwt.decode(token, certs=self._certs, clock_skew_in_seconds=_CLOCK_SKEW_S))
        except (ValueError, google.auth.exceptions.GoogleAuthError) as error:
            raise TokenInvalid from error
        if claims.get("iss") != ISSUER:
            raise TokenInvalid
        if len(self._verified) >= _MOST_REMEMBERED:
            self._verified.clear()
        self._verified[token] = claims
        return claims

    async def _fetch(self) -> None:
        async with self._fetching, self._session.get(self._certs_url) as response:
            self._certs = json.loads(await response.read())
