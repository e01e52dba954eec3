"""A front with a service behind it, and the key with which tokens for it are signed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from local.cloud_run.forwarding import Forwarding, new_session
from local.cloud_run.front import ALL_USERS, Front, Removal, Service
from local.cloud_run.google_tokens import GoogleTokens
from local.cloud_run.routes import Door, Route
from local.identity_server import issuer_application
from local.ports import free_port
from local.serving import HOST, start_http
from local.signing import SigningKey
from tests.local.handler import Handler, handler_served

AUDIENCE = "https://service.example"
INVOKER = "invoker@demo.iam.gserviceaccount.com"
PENDING_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    text: str
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Fronted:
    """`/private` and `/public` lead to the handler, `/gone` to an instance that is none, `/broken` to one that hangs up."""

    url: str
    key: SigningKey
    handler: Handler
    broken: list[bytes]
    """What the instance that hangs up was sent, a call at a time."""

    def token(self, *, audience: str = AUDIENCE, account: str = INVOKER, issued_at: float | None = None) -> str:
        return self.key.token(audience=audience, service_account=account, issued_at=issued_at)

    async def call(self, path: str, headers: dict[str, str] | None = None, body: object = None) -> Reply:
        async with aiohttp.ClientSession() as session:
            data = json.dumps(body).encode()
            async with session.post(f"{self.url}{path}", data=data, headers=headers or {}) as response:
                return Reply(status=response.status, text=await response.text(), headers=dict(response.headers))

    def seen(self, name: str) -> str | None:
        """A header of the last call that the service got."""
        return self.handler.asked[-1].headers.get(name)


@pytest.fixture
def removal(request: pytest.FixtureRequest) -> Removal:
    found = getattr(request, "param", Removal.CONSUMED)
    assert isinstance(found, Removal)
    return found


@pytest.fixture
async def fronted(removal: Removal) -> AsyncIterator[Fronted]:
    key, certs_port, port = SigningKey.generate(), free_port(), free_port()
    private = Service(name="private", audiences=frozenset({AUDIENCE}), invokers=frozenset({INVOKER}))
    public = Service(name="public", audiences=frozenset({AUDIENCE}), invokers=frozenset({ALL_USERS}))
    broken, broken_port = list[bytes](), free_port()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with (
        handler_served() as handler,
        new_session() as session,
        await asyncio.start_server(hang_up, HOST, broken_port),
    ):
        front = Front(GoogleTokens(f"http://{HOST}:{certs_port}/certs", session), removal)
        routes = [
            Route(path="/private", instance=handler.url, service=private),
            Route(path="/public", instance=handler.url, service=public),
            Route(path="/broken", instance=f"http://{HOST}:{broken_port}", service=public),
            Route(path="/gone", instance=f"http://{HOST}:{free_port()}", service=public),
        ]
        runners: list[web.AppRunner] = [
            await start_http(issuer_application(key), certs_port),
            await start_http(Door(routes, front, Forwarding(session, PENDING_S)).application(), port),
        ]
        yield Fronted(url=f"http://{HOST}:{port}", key=key, handler=handler, broken=broken)
        for runner in runners:
            await runner.cleanup()
