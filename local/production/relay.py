"""Stands in for Eventarc: takes the Firestore emulator's events, and delivers each until its function has done its work."""

import asyncio
import base64
import contextlib
import json
import urllib.request
from collections.abc import Iterable
from dataclasses import replace
from urllib.error import URLError

from aiohttp import web

from local.production.delivery import Call, Delivery
from local.production.manifest import DeployedFunction, Trigger
from local.project import PROJECT_ID, REGION

_BACKOFF_FIRST_S = 10.0
_BACKOFF_MAX_S = 600.0
"""Eventarc's own."""
_EVENT_LIMIT_BYTES = 512_000
"""Eventarc's limit: "512 KB" in its quotas, in its strictest reading. Google's pages do not say what happens to a larger event; here it is
not delivered, which is the worst case."""
_MAX_BODY_BYTES = 16 * 1024 * 1024
"""The emulator's, in base64."""
_REGISTER_LIMIT_S = 60.0
_NOT_PASSED_ON = frozenset({"host", "connection", "accept-encoding", "accept", "content-length", "transfer-encoding"})


class Relay:
    def __init__(self, delivery: Delivery, functions: Iterable[DeployedFunction], time_scale: float) -> None:
        self._delivery = delivery
        self._triggers = {function.name: function.trigger for function in functions if function.trigger is not None}
        self._time_scale = time_scale

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_post("/{path:.*}", self._take)
        return application

    async def register(self, firestore: str) -> None:
        """Tells the emulator which documents' events are wanted, as soon as it answers."""
        async with asyncio.timeout(_REGISTER_LIMIT_S):
            for name, trigger in self._triggers.items():
                while not await asyncio.to_thread(_registered, firestore, name, trigger):  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.1)

    async def _take(self, request: web.Request) -> web.Response:
        """The emulator is answered at once: it hands events over one at a time, and must not wait for functions."""
        body = await request.read()
        if "protobuf" in request.headers.get("Content-Type", ""):
            body = base64.b64decode(body)
        function = request.path.rpartition("/")[2].removeprefix(f"{REGION}-")
        call = Call(
            function=function,
            document=request.headers.get("ce-document", ""),
            path="/",
            headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON],
            body=body,
        )
        if function not in self._triggers:
            return web.json_response({}, status=404)
        counters = self._delivery.counters
        counters["events"] += 1
        size = len(body) + sum(len(name) + len(value.encode()) for name, value in call.headers)
        counters[f"largest_body_{function}"] = max(counters[f"largest_body_{function}"], len(body))
        if size > _EVENT_LIMIT_BYTES:
            counters[f"too_large_{function}"] += 1
            return web.json_response({})
        self._delivery.begin(self._deliver_first(call))
        return web.json_response({})

    async def _deliver_first(self, call: Call) -> None:
        if await self._delivery.hand_over(call, self._deliver_again):
            await self._deliver(call)

    async def _deliver_again(self, call: Call) -> None:
        await self._deliver(replace(call, document=f"{call.document}#2"))

    async def _deliver(self, call: Call) -> None:
        attempt = 0
        while not (await self._delivery.attempt(call, attempt)).is_success:
            if not self._triggers[call.function].retried:
                self._delivery.counters[f"lost_{call.function}"] += 1
                return
            await asyncio.sleep(min(_BACKOFF_FIRST_S * 2.0**attempt, _BACKOFF_MAX_S) * self._time_scale)
            attempt += 1


def _registered(firestore: str, name: str, trigger: Trigger) -> bool:
    body = {
        "eventType": trigger.event_type,
        "database": trigger.database,
        "namespace": "(default)",
        "document": {"value": trigger.document, "matchType": "PATH_PATTERN"},
    }
    url = f"http://{firestore}/emulator/v1/projects/{PROJECT_ID}/eventarcTrigger?eventarcTriggerId={REGION}-{name}"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with contextlib.suppress(URLError, TimeoutError), urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
        return True
    return False
