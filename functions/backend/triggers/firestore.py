"""The Firestore triggers on the path of a message. Both are at least once and unordered, with retry on: a handler that raises is called again."""

from typing import Any

from firebase_functions import firestore_fn

from backend.accept import Acceptance
from backend.deployment import TRIGGER_TIMEOUT_S, WARM_INSTANCES, retried
from backend.edge import contained
from backend.send_queue import Job
from backend.services import services
from backend.stores import stored_as
from core import schema
from core.ids import ThreadId

Event = firestore_fn.Event[Any]


@retried
@firestore_fn.on_document_created(
    document=f"{schema.INGEST}/{{eventId}}", timeout_sec=TRIGGER_TIMEOUT_S, min_instances=WARM_INSTANCES
)
@contained
def threadlineOnIngest(event: Event) -> None:
    """A row of the ingest log: becomes a message, a thread, a delivery."""
    if event.data is None or not event.data.exists:
        return  # the emulator fires this for the delete of a document that does not exist
    stored = stored_as(event.data, dict)
    services().ingest.take(stored.id, stored.value, stored.update_time)


@retried
@firestore_fn.on_document_created(
    document=f"{schema.OUTBOX}/{{requestId}}", timeout_sec=TRIGGER_TIMEOUT_S, min_instances=WARM_INSTANCES
)
@contained
def threadlineOnOutbox(event: Event) -> None:
    """A client's request: accepted, then a send job works on its thread. One job a request, under its name."""
    if event.data is None or not event.data.exists:
        return
    stored = stored_as(event.data, dict)
    if services().accept.new_request(stored) is Acceptance.ACCEPTED:
        services().queue.enqueue(Job(thread_id=ThreadId(stored.value["threadId"])), stored.id)
