"""python -m local.production.shared_address: one address of several instances, as a Cloud Run service has it during a rollout, behind
Cloud Run's front end.

New calls go to the newest instance that is ready. A call that is under way ends at the instance where it began.
"""

import argparse
import asyncio
import time
from contextlib import suppress

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.cloud_run.answers import FrontAnswer
from local.cloud_run.forwarding import Forwarding, new_session, response_of
from local.cloud_run.front import Front, Service, connector_service
from local.cloud_run.google_tokens import GoogleTokens
from local.control_api import Fields, Json, control_application
from local.control_client import ControlClient
from local.serving import HOST, serve_until_terminated, start_http

_READY = "/readyz"
_PROBE_S = 0.2
"""Cloud Run's start-up probe comes each 3 s (deploy/connector_service.yaml)."""


class SharedAddress:
    def __init__(self, instance: str, service: Service, front: Front, session: aiohttp.ClientSession) -> None:
        self._instance = instance
        self._service = service
        self._front = front
        self._session = session
        self._forwarding = Forwarding(session)

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
        admitted = await self._front.admit(self._service, request.path, CIMultiDict(request.headers))
        if isinstance(admitted, FrontAnswer):
            return response_of(admitted)
        url = f"{self._instance}{request.raw_path}"
        return await self._forwarding.forward(url, request.method, admitted, await request.read())


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
    parser.add_argument("--invoker", required=True, help="the service account that may call the service")
    parser.add_argument("--certs-url", required=True, help="the key set that tokens are checked against")
    options = parser.parse_args()
    service = connector_service(f"http://{HOST}:{options.port}", options.invoker)
    async with new_session() as session:
        address = SharedAddress(options.instance, service, Front(GoogleTokens(options.certs_url, session)), session)
        runners = [
            await start_http(address.application(), options.port),
            await start_http(address.control(), options.control_port),
        ]
        await serve_until_terminated(f"shared address on {HOST}:{options.port}")
        for runner in runners:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
