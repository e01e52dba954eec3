"""Which service an address belongs to, where its instance is, and the HTTP server that puts the front before it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web
from multidict import CIMultiDict

from local.cloud_run.answers import NOT_FOUND, FrontAnswer
from local.cloud_run.forwarding import Forwarding, response_of
from local.cloud_run.front import Front, Service

_MAX_BODY_BYTES = 32 * 1024 * 1024
"""Cloud Run's own limit of a request over HTTP/1."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """`path` is what the service's address begins with at this front ("" for all of it), `instance` what takes its place."""

    path: str
    instance: str
    service: Service

    def matches(self, path: str) -> bool:
        return path == self.path or path.startswith(f"{self.path}/")


def write(file: Path, routes: Sequence[Route]) -> None:
    rows = [
        {
            **asdict(route),
            "service": {
                "name": route.service.name,
                "audiences": sorted(route.service.audiences),
                "invokers": sorted(route.service.invokers),
            },
        }
        for route in routes
    ]
    file.write_text(json.dumps(rows, indent=2))


def read(file: Path) -> list[Route]:
    return [
        Route(
            path=row["path"],
            instance=row["instance"],
            service=Service(
                name=row["service"]["name"],
                audiences=frozenset(row["service"]["audiences"]),
                invokers=frozenset(row["service"]["invokers"]),
            ),
        )
        for row in json.loads(file.read_text())
    ]


class Door:
    """The addresses of some services, each behind the front."""

    def __init__(self, routes: Sequence[Route], front: Front, forwarding: Forwarding) -> None:
        self._routes = routes
        self._front = front
        self._forwarding = forwarding

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._take)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        route = next((route for route in self._routes if route.matches(request.path)), None)
        if route is None:
            return response_of(NOT_FOUND)
        admitted = await self._front.admit(route.service, request.path, CIMultiDict(request.headers))
        if isinstance(admitted, FrontAnswer):
            return response_of(admitted)
        url = f"{route.instance}{request.raw_path.removeprefix(route.path)}"
        return await self._forwarding.forward(url, request.method, admitted, await request.read())
