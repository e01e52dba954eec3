"""python -m local.production.shared_address: one address of several instances, as a Cloud Run service has it during a rollout.

Calls go to the newest instance that is ready; those that are under way end where they began.
"""

import argparse
import asyncio
import time
from contextlib import suppress

import aiohttp
from aiohttp import web

from local.control_api import Fields, Json, control_application
from local.control_client import ControlClient
from local.serving import HOST, serve_until_terminated, start_http

_READY = "/readyz"
_NOT_PASSED_ON = frozenset({"host", "connection", "accept-encoding", "content-length", "transfer-encoding"})
_CALL_TIMEOUT_S = 120.0
_PROBE_S = 0.2
"""Cloud Run's start-up probe comes each 2 s (connector/service.yaml)."""


class SharedAddress:
    def __init__(self, instance: str, session: aiohttp.ClientSession) -> None:
        self._instance = instance
        self._session = session

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        return application

    def control(self) -> web.Application:
        return control_application([("POST", "/switch", self.switch, "instance")])

    async def switch(self, fields: Fields) -> Json:
        """Leads calls to the new instance if it is ready. Answers whether, and when, in seconds since 1970."""
        instance = fields.text("instance")
        is_ready = await self._is_ready(instance)
        if is_ready:
            self._instance = instance
        return {"is_ready": is_ready, "at": time.time()}

    async def _is_ready(self, instance: str) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(f"{instance}{_READY}") as response:
                return response.status == 200
        return False

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON]
        try:
            async with self._session.request(
                request.method, f"{self._instance}{request.path_qs}", data=body, headers=headers
            ) as response:
                return web.Response(
                    status=response.status, body=await response.read(), content_type=response.content_type
                )
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)


class Router:
    """The control API for Python. Blocking."""

    def __init__(self, control_port: int) -> None:
        self._control = ControlClient(control_port)

    def switch(self, instance: str) -> float:
        """Waits until the new instance is ready. Returns when calls began to go there, in seconds since 1970."""
        while not (answer := self._control.post("/switch", instance=instance))["is_ready"]:
            time.sleep(_PROBE_S)
        return float(answer["at"])


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.production.shared_address")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--instance", required=True, help="the first instance's origin")
    options = parser.parse_args()
    limit = aiohttp.ClientTimeout(total=_CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=limit, connector=aiohttp.TCPConnector(limit=0)) as session:
        address = SharedAddress(options.instance, session)
        runners = [
            await start_http(address.application(), options.port),
            await start_http(address.control(), options.control_port),
        ]
        await serve_until_terminated(f"shared address on {HOST}:{options.port}")
        for runner in runners:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
