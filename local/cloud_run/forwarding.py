"""Forwards an admitted call to the service's instance, and waits for an instance if there is none."""

import asyncio

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.cloud_run.answers import BROKEN, NO_INSTANCE, FrontAnswer

PENDING_S = 10.0
"""How long a call waits for an instance before it is answered 429
(https://cloud.google.com/run/docs/about-instance-autoscaling). Scaled by the worlds that scale time."""
_RETRY_S = 0.05
_CALL_TIMEOUT_S = 300.0
"""Cloud Run's request time-out unless a service has another."""
_HOP_BY_HOP = frozenset({"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "content-length"})


def new_session() -> aiohttp.ClientSession:
    """Bodies pass as they are, compressed or not."""
    limit = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(timeout=limit, connector=connector, auto_decompress=False)


def end_to_end(headers: "CIMultiDict[str]") -> "CIMultiDict[str]":
    """The headers without those that concern a single connection."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


def response_of(answer: FrontAnswer) -> web.Response:
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, headers=dict(answer.headers)
    )


class Forwarding:
    def __init__(
        self, session: aiohttp.ClientSession, pending_s: float = PENDING_S, *, closes_connections: bool = False
    ) -> None:
        """`closes_connections`: each call has a connection of its own. The Functions emulator needs it: it hands the header on to its
        workers, and would else use a connection again just as the worker ends it."""
        self._session = session
        self._pending_s = pending_s
        self._closes_connections = closes_connections

    async def forward(self, url: str, method: str, headers: "CIMultiDict[str]", body: bytes) -> web.Response:
        deadline = asyncio.get_running_loop().time() + self._pending_s
        while True:
            try:
                return await self._try(url, method, headers, body)
            except aiohttp.ClientConnectorError:
                if asyncio.get_running_loop().time() > deadline:
                    return response_of(NO_INSTANCE)
            await asyncio.sleep(_RETRY_S)

    async def _try(self, url: str, method: str, headers: "CIMultiDict[str]", body: bytes) -> web.Response:
        """Raises ClientConnectorError where nobody listens: nothing was handed over then."""
        sent = end_to_end(headers)
        if self._closes_connections:
            sent["Connection"] = "close"
        try:
            async with self._session.request(method, url, data=body, headers=sent, allow_redirects=False) as response:
                return web.Response(
                    status=response.status,
                    body=await response.read(),
                    headers=end_to_end(CIMultiDict(response.headers)),
                )
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientError, TimeoutError):
            return response_of(BROKEN)
