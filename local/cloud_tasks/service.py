"""The calls of google.cloud.tasks.v2.CloudTasks that the product and its tests make, over tasks_v2's own messages."""

import itertools
import re
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import grpc
from google.cloud import tasks_v2
from google.protobuf import empty_pb2

from local.cloud_tasks.queue import Caller, Queue, TaskSpec

Context = grpc.aio.ServicerContext[Any, Any]

_PARENT = re.compile(r"projects/[^/]+/locations/[^/]+/queues/([A-Za-z0-9-]{1,100})")
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
_DEFAULT_DEADLINE_S = 600
_SHORTEST_DEADLINE_S = 15
_LONGEST_DEADLINE_S = 1800
_FURTHEST_SCHEDULE_S = 30 * 86400
_LARGEST_TASK_BYTES = 100 * 1024
SERVICE = "google.cloud.tasks.v2.CloudTasks"


class CloudTasksService:
    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self._queues = queues
        self._ids = itertools.count(1)

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        calls = {
            "CreateTask": (self.create_task, tasks_v2.CreateTaskRequest.pb()),
            "GetTask": (self.get_task, tasks_v2.GetTaskRequest.pb()),
            "ListTasks": (self.list_tasks, tasks_v2.ListTasksRequest.pb()),
            "DeleteTask": (self.delete_task, tasks_v2.DeleteTaskRequest.pb()),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    call,
                    request_deserializer=request_type.FromString,
                    response_serializer=lambda response: response.SerializeToString(),
                )
                for name, (call, request_type) in calls.items()
            },
        )

    async def create_task(self, request: Any, context: Context) -> Any:
        queue = await self._queue(request.parent, context)
        task, now = request.task, time.time()
        task.name = task.name or f"{request.parent}/tasks/{next(self._ids):020d}"
        if task.schedule_time.ToMicroseconds() / 1e6 < now:
            task.schedule_time.FromMicroseconds(int(now * 1e6))
        task.create_time.FromMicroseconds(int(now * 1e6))
        if not task.HasField("dispatch_deadline"):
            task.dispatch_deadline.FromSeconds(_DEFAULT_DEADLINE_S)
        spec = _spec(task)
        complaint = _complaint(spec, request.parent, now)
        if complaint is not None:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, complaint)
        if queue.is_name_taken(spec.name):
            queue.count("already_exists")
            await _refuse(context, grpc.StatusCode.ALREADY_EXISTS, "Requested entity already exists")
        queue.add(spec)
        return task

    async def get_task(self, request: Any, context: Context) -> Any:
        queue = await self._queue_of_task(request.name, context)
        return queue.tasks[request.name].spec.message

    async def list_tasks(self, request: Any, context: Context) -> Any:
        """All in one page: a test's queue is short."""
        queue = await self._queue(request.parent, context)
        return tasks_v2.ListTasksResponse.pb()(tasks=[task.spec.message for task in queue.tasks.values()])

    async def delete_task(self, request: Any, context: Context) -> Any:
        queue = await self._queue_of_task(request.name, context)
        queue.delete(request.name)
        return empty_pb2.Empty()

    async def _queue(self, parent: str, context: Context) -> Queue:
        match = _PARENT.fullmatch(parent)
        if match is None:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "parent must be projects/P/locations/L/queues/Q")
        if match[1] not in self._queues:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "Queue does not exist.")
        return self._queues[match[1]]

    async def _queue_of_task(self, name: str, context: Context) -> Queue:
        queue = await self._queue(name.partition("/tasks/")[0], context)
        if name not in queue.tasks:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "The task no longer exists.")
        return queue


async def _refuse(context: Context, code: grpc.StatusCode, text: str) -> NoReturn:
    await context.abort(code, text)
    raise AssertionError("abort raises")


def _spec(task: Any) -> TaskSpec:
    request = task.http_request
    return TaskSpec(
        name=task.name,
        method=tasks_v2.HttpMethod(request.http_method or tasks_v2.HttpMethod.POST).name,
        url=request.url,
        headers=dict(request.headers),
        body=request.body,
        schedule_at=task.schedule_time.ToMicroseconds() / 1e6,
        deadline_s=task.dispatch_deadline.ToMilliseconds() / 1e3,
        caller=_caller(request),
        message=task,
    )


def _caller(request: Any) -> Caller | None:
    """The audience is the target's address unless the task names one."""
    token = request.oidc_token
    if not token.service_account_email:
        return None
    return Caller(service_account=token.service_account_email, audience=token.audience or request.url)


def _complaint(task: TaskSpec, parent: str, now: float) -> str | None:
    """What Cloud Tasks would refuse."""
    prefix, _, task_id = task.name.rpartition("/tasks/")
    if prefix != parent or not _TASK_ID.fullmatch(task_id):
        return "Task name must be formatted: parent/tasks/[A-Za-z0-9_-]{1,500}"
    if not task.url.startswith(("http://", "https://")):
        return "HttpRequest.url is required and must begin with http:// or https://"
    if not _SHORTEST_DEADLINE_S <= task.deadline_s <= _LONGEST_DEADLINE_S:
        return "Task.dispatchDeadline must be between [15s, 30m]"
    if task.schedule_at > now + _FURTHEST_SCHEDULE_S:
        return "Task.scheduleTime must not be more than 30 days in the future"
    if task.message.ByteSize() > _LARGEST_TASK_BYTES:
        return "Task size too large"
    return None
