"""The functions' HTTP addresses, `/NAME`, behind Cloud Run's front end: tasks meet the plan's faults, other calls go straight through."""

from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web
from multidict import CIMultiDict

from local.cloud_run.answers import NOT_FOUND, FrontAnswer
from local.cloud_run.forwarding import end_to_end, response_of
from local.cloud_run.front import Front, Service
from local.production.delivery import Call, Delivery
from local.production.instances import Answer

_TASK_NAME = "X-CloudTasks-TaskName"
_RETRY_COUNT = "X-CloudTasks-TaskRetryCount"
_MAX_BODY_BYTES = 1024 * 1024


class FrontDoor:
    def __init__(self, delivery: Delivery, front: Front, services: Mapping[str, Service]) -> None:
        self._delivery = delivery
        self._front = front
        self._services = services

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_route("*", "/{function}{rest:.*}", self._take)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        function = request.match_info["function"]
        service = self._services.get(function)
        if service is None:
            return response_of(NOT_FOUND)
        admitted = await self._front.admit(service, request.path, CIMultiDict(request.headers))
        if isinstance(admitted, FrontAnswer):
            return response_of(admitted)
        call = Call(
            function=function,
            document=request.headers.get(_TASK_NAME, ""),
            path="/" + request.match_info["rest"].removeprefix("/"),
            headers=list(end_to_end(admitted).items()),
            body=await request.read(),
        )
        answer = await (self._task(call, int(request.headers[_RETRY_COUNT])) if call.document else self._post(call))
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type or None)

    async def _task(self, call: Call, attempt: int) -> Answer:
        if attempt == 0 and not await self._delivery.hand_over(call, self._deliver_again):
            return Answer(status=200)  # the queue takes it for done
        return await self._delivery.attempt(call, attempt)

    async def _deliver_again(self, call: Call) -> None:
        """Cloud Tasks' own duplicate. Its failure is not tried again: the other one is."""
        await self._delivery.attempt(replace(call, document=f"{call.document}#2"), 0)

    async def _post(self, call: Call) -> Answer:
        return await self._delivery.post(call)
