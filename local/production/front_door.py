"""The functions' HTTP addresses, `/NAME`: tasks meet the plan's faults on their way in, other calls go straight through."""

from dataclasses import replace

from aiohttp import web

from local.production.delivery import Call, Delivery
from local.production.instances import Answer

_TASK_NAME = "X-CloudTasks-TaskName"
_RETRY_COUNT = "X-CloudTasks-TaskRetryCount"
_MAX_BODY_BYTES = 1024 * 1024
_NOT_PASSED_ON = frozenset({"host", "connection", "accept-encoding", "content-length", "transfer-encoding"})


class FrontDoor:
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_route("*", "/{function}{rest:.*}", self._take)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        function = request.match_info["function"]
        if not self._delivery.is_function(function):
            return web.json_response({}, status=404)
        call = Call(
            function=function,
            document=request.headers.get(_TASK_NAME, ""),
            path="/" + request.match_info["rest"].removeprefix("/"),
            headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON],
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
