"""python -m local.production.connector_gate: Cloud Run's front end before the connector, which delays, loses or spoils answers to sends.

It keeps a record of the sends that reached the connector, each with what the connector said.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime

from aiohttp import web
from multidict import CIMultiDict

from local.cloud_run.answers import NO_INSTANCE, FrontAnswer
from local.cloud_run.forwarding import PENDING_S, Forwarding, new_session, response_of
from local.cloud_run.front import Front, Service, connector_service
from local.cloud_run.google_tokens import GoogleTokens
from local.control_api import Fields, Json, control_application
from local.production.faults import NO_FAULTS, FaultKind, FaultPlan, InvalidPlan, parse_plan
from local.refusals import Malformed
from local.serving import HOST, serve_until_terminated, start_http

_PLACE = "connector"
_SEND = "/v1/send"


@dataclass(frozen=True, kw_only=True)
class Post:
    """A send that was handed to the connector. `outcome` is empty where it answered without one, or not at all."""

    wa_message_key: str
    account_id: str
    outcome: str
    came_s: float
    """In seconds since 1970, like the next."""
    not_after_s: float
    """Until when the functions allowed a frame."""


class ConnectorGate:
    def __init__(self, connector: str, service: Service, front: Front, forwarding: Forwarding, late_s: float) -> None:
        self.plan: FaultPlan = NO_FAULTS
        self.posts: list[Post] = []
        self.counters: Counter[str] = Counter()
        self.under_way = 0
        self.connector = connector
        self._service = service
        self._front = front
        self._forwarding = forwarding
        self._late_s = late_s
        self._attempts: Counter[str] = Counter()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        admitted = await self._front.admit(self._service, request.path, CIMultiDict(request.headers))
        if isinstance(admitted, FrontAnswer):
            return response_of(admitted)
        self.under_way += 1
        try:
            if request.path == _SEND:
                return await self._send(request, admitted, body)
            return await self._pass_on(request, admitted, body)
        finally:
            self.under_way -= 1

    async def _send(self, request: web.Request, headers: "CIMultiDict[str]", body: bytes) -> web.Response:
        """A fault strikes before or after the connector's work; which, is drawn too."""
        fields, came_s = json.loads(body), time.time()
        key, account = str(fields["waMessageKey"]), str(fields["accountId"])
        attempt = self._attempts[key]
        self._attempts[key] += 1
        struck = {kind for kind in _KINDS if self.plan.strikes(kind, _PLACE, key, attempt)}
        for kind in struck:
            self.counters[f"fault_{kind}"] += 1
        late_s = self._late_s * self.plan.amount(FaultKind.CONNECTOR_LATE, _PLACE, key, attempt)
        before = {kind for kind in struck if self.plan.amount(kind, f"{_PLACE} before", key, attempt) < 0.5}
        if FaultKind.CONNECTOR_LATE in before:
            await asyncio.sleep(late_s)
        if FaultKind.CONNECTOR_FAILS in before:
            return web.Response(status=500)
        answer = await self._pass_on(request, headers, body)
        if answer.status == NO_INSTANCE.status:
            return answer
        self.posts.append(
            Post(
                wa_message_key=key,
                account_id=account,
                outcome=_outcome(answer),
                came_s=came_s,
                not_after_s=datetime.fromisoformat(str(fields["notAfter"])).timestamp(),
            )
        )
        if FaultKind.CONNECTOR_LATE in struck - before:
            await asyncio.sleep(late_s)
        if FaultKind.CONNECTOR_FAILS in struck:
            return web.Response(status=500)
        if FaultKind.CONNECTOR_LOST in struck and request.transport is not None:
            request.transport.abort()
        return answer

    async def _pass_on(self, request: web.Request, headers: "CIMultiDict[str]", body: bytes) -> web.Response:
        url = f"{self.connector}{request.raw_path}"
        return await self._forwarding.forward(url, request.method, headers, body)


_KINDS = (FaultKind.CONNECTOR_LATE, FaultKind.CONNECTOR_LOST, FaultKind.CONNECTOR_FAILS)


def _outcome(answer: web.Response) -> str:
    if answer.status != 200 or not isinstance(answer.body, bytes):
        return ""
    return str(json.loads(answer.body).get("outcome", ""))


class Control:
    def __init__(self, gate: ConnectorGate) -> None:
        self._gate = gate

    def application(self) -> web.Application:
        return control_application(
            [
                ("POST", "/faults", self.faults, "plan"),
                ("GET", "/posts", self.posts, ""),
                ("GET", "/counters", self.counters, ""),
            ]
        )

    def faults(self, fields: Fields) -> Json:
        try:
            self._gate.plan = parse_plan(fields.text_or("plan", ""))
        except InvalidPlan as error:
            raise Malformed(str(error)) from error
        return {}

    def posts(self, _fields: Fields) -> Json:
        return [asdict(post) for post in self._gate.posts]

    def counters(self, _fields: Fields) -> Json:
        rows: list[dict[str, object]] = [{"name": name, "count": n} for name, n in self._gate.counters.items()]
        return [*rows, {"name": "under_way", "count": self._gate.under_way}]


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.production.connector_gate")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--connector", required=True, help="the connector's origin")
    parser.add_argument("--endpoint", required=True, help="the connector's address as its leases name it: this gate's")
    parser.add_argument("--invoker", required=True, help="the service account that may call the connector")
    parser.add_argument("--certs-url", required=True, help="the key set that tokens are checked against")
    parser.add_argument("--pending-s", type=float, default=PENDING_S, help="how long a call waits for a connector")
    parser.add_argument("--late-s", type=float, default=4.0, help="the longest that an answer is held up")
    options = parser.parse_args()
    service = connector_service(options.endpoint, options.invoker)
    async with new_session() as session:
        front, forwarding = Front(GoogleTokens(options.certs_url, session)), Forwarding(session, options.pending_s)
        gate = ConnectorGate(options.connector, service, front, forwarding, options.late_s)
        runners = [
            await start_http(gate.application(), options.port),
            await start_http(Control(gate).application(), options.control_port),
        ]
        await serve_until_terminated(f"gate before the connector on {HOST}:{options.port}")
        for runner in runners:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
