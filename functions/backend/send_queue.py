"""Enqueues send jobs: Cloud Tasks, the same client everywhere."""

import hashlib
import json
import threading
from dataclasses import dataclass
from datetime import datetime

import grpc
from google.api_core.exceptions import AlreadyExists
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport
from google.protobuf import duration_pb2, timestamp_pb2

from backend.settings import Settings
from core.ids import ThreadId

_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work on a thread's queue. `key` names the head's claim that the job was made to outwait, `hop` how often it met it."""

    thread_id: ThreadId
    key: str | None = None
    hop: int = 0

    def payload(self) -> dict[str, object]:
        return {"threadId": self.thread_id, "key": self.key, "hop": self.hop}


class InvalidJob(ValueError):
    """A task's body is not a send job."""


def parse_job(data: object) -> Job:
    """Raises InvalidJob."""
    if not isinstance(data, dict):
        raise InvalidJob("a send job is a JSON object")
    thread, key, hop = data.get("threadId"), data.get("key"), data.get("hop", 0)
    if not isinstance(thread, str) or not thread:
        raise InvalidJob("a send job names its threadId")
    if not (key is None or isinstance(key, str)) or not isinstance(hop, int):
        raise InvalidJob("a send job's key is a string, its hop a number")
    return Job(thread_id=ThreadId(thread), key=key, hop=hop)


class SendQueue:
    """Safe to use from several threads; the client is made at the first use, after the server's fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: tasks_v2.CloudTasksClient | None = None
        self._lock = threading.Lock()

    def enqueue(self, job: Job, name: str, at: datetime | None = None) -> bool:
        """A job under a name that is used once: a second one of the same name is success, and False. Names are hashed, since Cloud
        Tasks slows down on sequential ones, and they may hold numbers."""
        parent = self._settings.send_queue
        task = tasks_v2.Task(
            name=f"{parent}/tasks/{hashlib.sha256(name.encode()).hexdigest()[:40]}",
            http_request=tasks_v2.HttpRequest(
                url=self._settings.send_url,
                http_method=tasks_v2.HttpMethod.POST,
                headers={"Content-Type": "application/json"},
                body=json.dumps({"data": job.payload()}).encode(),
                oidc_token=tasks_v2.OidcToken(
                    service_account_email=self._settings.tasks_service_account, audience=self._settings.send_url
                ),
            ),
            dispatch_deadline=_duration(max(self._settings.timing.dispatch_deadline_s, 15.0)),
        )
        if at is not None:
            task.schedule_time = _timestamp(at)
        try:
            self._connected().create_task(parent=parent, task=task, timeout=_TIMEOUT_S)
        except AlreadyExists:
            return False
        return True

    def _connected(self) -> tasks_v2.CloudTasksClient:
        with self._lock:
            if self._client is None:
                address = self._settings.cloud_tasks_grpc
                self._client = (
                    tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(address)))
                    if address
                    else tasks_v2.CloudTasksClient()
                )
            return self._client


def _timestamp(at: datetime) -> timestamp_pb2.Timestamp:
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _duration(seconds: float) -> duration_pb2.Duration:
    """Cloud Tasks takes a dispatch deadline of 15 s to 30 min."""
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration
