"""The Firestore triggers on the path of a message. Both are at least once and unordered, with retry on: a handler that raises is called again."""

from backend.accept import Acceptance
from backend.deployment import TRIGGER_TIMEOUT_S, WARM_INSTANCES, retried
from backend.document_events import DocumentEvent, on_document_created
from backend.params import FIRESTORE_DATABASE, LOG_HASH_KEY
from backend.send_queue import Job
from backend.services import services
from core import schema
from core.ids import ThreadId


@retried
@on_document_created(
    document=f"{schema.INGEST}/{{eventId}}",
    database=FIRESTORE_DATABASE.expression,
    timeout_sec=TRIGGER_TIMEOUT_S,
    min_instances=WARM_INSTANCES,
    secrets=[LOG_HASH_KEY],
)
def threadlineOnIngest(event: DocumentEvent) -> None:
    """A row of the ingest log: becomes a message, a thread, a delivery."""
    row = event.after
    if row is not None:
        services().ingest.take(row.id, row.value, row.update_time)


@retried
@on_document_created(
    document=f"{schema.OUTBOX}/{{requestId}}",
    database=FIRESTORE_DATABASE.expression,
    timeout_sec=TRIGGER_TIMEOUT_S,
    min_instances=WARM_INSTANCES,
    secrets=[LOG_HASH_KEY],
)
def threadlineOnOutbox(event: DocumentEvent) -> None:
    """A client's request: accepted, then a send job works on its thread. One job a request, under its name."""
    request = event.after
    if request is not None and services().accept.new_request(request) is Acceptance.ACCEPTED:
        services().queue.enqueue(Job(thread_id=ThreadId(request.value["threadId"])), request.id)
