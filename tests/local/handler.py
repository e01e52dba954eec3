"""A function's part, played by the test: an HTTP server that records what it is asked and answers what it was told to."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy

from local.ports import free_port
from local.serving import HOST, start_http


@dataclass(frozen=True, kw_only=True)
class Asked:
    at: float
    method: str
    headers: "CIMultiDictProxy[str]"
    body: bytes


@dataclass(kw_only=True)
class Handler:
    """`answers` are given one after the other, then 200, each with `body`. While `gate` is closed, requests wait."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    body: bytes = b""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append(Asked(at=time.time(), method=request.method, headers=request.headers, body=body))
        status = self.answers.pop(0) if self.answers else 200
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        return web.Response(status=status, body=self.body)


@asynccontextmanager
async def handler_served() -> AsyncIterator[Handler]:
    """Serves one with its gate open."""
    port = free_port()
    handler = Handler(url=f"http://{HOST}:{port}/function")
    handler.gate.set()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler.serve)
    runner = await start_http(application, port)
    yield handler
    handler.gate.set()
    await runner.cleanup()
