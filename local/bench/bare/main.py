"""The floors: functions with the product's triggers and settings that do the least that such functions can do."""

import json
import os
import threading
from datetime import UTC, datetime
from functools import cache
from typing import Any

import grpc
import httpx
from firebase_functions import firestore_fn, https_fn, options, tasks_fn
from google.cloud.firestore import Client
from google.cloud.tasks_v2 import CloudTasksClient, HttpMethod, HttpRequest, OidcToken, Task
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

options.set_global_options(region="europe-west1", concurrency=80, cpu=1)

_lock = threading.Lock()


@firestore_fn.on_document_created(document="whatsapp_outbox/{requestId}")
def threadlineOnOutbox(event: firestore_fn.Event[Any]) -> None:
    """The first hop: a task."""
    parent = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/locations/europe-west1/queues/threadlineSend"
    request = HttpRequest(
        url=os.environ["SEND_URL"],
        http_method=HttpMethod.POST,
        headers={"Content-Type": "application/json"},
        body=json.dumps({"data": {"id": event.params["requestId"]}}).encode(),
        oidc_token=OidcToken(service_account_email=os.environ["FUNCTIONS_SERVICE_ACCOUNT"]),
    )
    _made(_tasks).create_task(parent=parent, task=Task(http_request=request))


@tasks_fn.on_task_dispatched(
    rate_limits=options.RateLimits(max_concurrent_dispatches=500, max_dispatches_per_second=500)
)
def threadlineSend(request: https_fn.CallableRequest[Any]) -> None:
    """The second hop: a POST."""
    _made(_http).post(os.environ["SINK_URL"], json={"id": request.data["id"]}).raise_for_status()


# The decorator takes an `invoker` and drops it (firebase-functions 0.6.0).
threadlineSend.__firebase_endpoint__.taskQueueTrigger["invoker"] = ["functions@"]  # type: ignore[attr-defined]


@firestore_fn.on_document_created(document="whatsapp_ingest/{eventId}")
def threadlineOnIngest(event: firestore_fn.Event[Any]) -> None:
    """The product's read and its three writes, without a thought and without a precondition."""
    row, db = event.data.to_dict(), _made(_firestore)
    thread_id = f"{row['accountId']}_{row['chatId']}"
    thread = db.collection("whatsapp_threads").document(thread_id)
    thread.get()
    message_id, at, text = event.params["eventId"], datetime.now(UTC), row["payload"]["text"]
    batch = db.batch()
    batch.set(
        db.collection("whatsapp_messages").document(message_id),
        {
            "waMessageId": message_id,
            "threadId": thread_id,
            "accountId": row["accountId"],
            "chatId": row["chatId"],
            "kind": "text",
            "text": text,
            "timestamp": row["timestamp"],
            "createdAt": at,
            "direction": "in",
            "senderName": row["payload"]["pushName"],
        },
    )
    batch.update(
        thread,
        {
            "lastMessageAt": row["timestamp"],
            "lastReceivedAt": row["receivedAt"],
            "lastMessagePreview": text,
            "unreadCountGlobal": 1,
            "updatedAt": at,
        },
    )
    batch.update(
        db.collection("whatsapp_ingest").document(message_id),
        {"processed": True, "processedAt": at, "processAttempts": 1, "lastProcessError": None, "expireAt": at},
    )
    batch.commit(retry=None)


def _made(make: Any) -> Any:
    with _lock:
        return make()


@cache
def _firestore() -> Client:
    return Client(project=os.environ["GOOGLE_CLOUD_PROJECT"])


@cache
def _tasks() -> CloudTasksClient:
    channel = grpc.insecure_channel(os.environ["CLOUD_TASKS_GRPC"])
    return CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


@cache
def _http() -> httpx.Client:
    return httpx.Client(limits=httpx.Limits(max_connections=100, max_keepalive_connections=100))
