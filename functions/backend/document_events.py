"""Firestore's events as the triggers take them, decoded without a Firestore client.

firebase-functions 0.6.0 builds a client for each event (firestore_fn.py, _firestore_endpoint_handler). On Google Cloud each of
them asks the metadata server for the project's id and the service account. Here the library declares the trigger, and the
event is decoded by this module.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from cloudevents.http import CloudEvent
from firebase_functions import firestore_fn
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client
from google.cloud.firestore_v1._helpers import decode_dict
from google.events.cloud.firestore import Document as EventDocument
from google.events.cloud.firestore import DocumentEventData

from backend.edge import contained
from backend.stores import Document, Stored


@dataclass(frozen=True, kw_only=True)
class DocumentEvent:
    """One write of a document. `before` is None of one that was created, `after` of one that was deleted.

    Both are None where the emulator sends an event for the delete of a document that did not exist.
    """

    id: str
    """The same each time that the platform delivers the event."""
    time: datetime
    before: Stored[Document] | None
    after: Stored[Document] | None


Handler = Callable[[DocumentEvent], None]
Trigger = Callable[[CloudEvent], None]


def on_document_created(**options: Any) -> Callable[[Handler], Trigger]:
    """The decorator of that name in firebase_functions.firestore_fn, with its options, for a handler of DocumentEvent.
    What the handler raises is contained (backend/edge.py)."""
    return functools.partial(_trigger, firestore_fn.on_document_created(**options))


def on_document_written(**options: Any) -> Callable[[Handler], Trigger]:
    """As on_document_created, for each write of a document."""
    return functools.partial(_trigger, firestore_fn.on_document_written(**options))


def document_event(raw: CloudEvent) -> DocumentEvent:
    """Raises TypeError where the event is not in protobuf, the only content type that Firestore's events have."""
    body = raw.data or b""  # an event without a document has no body
    if not isinstance(body, bytes):
        raise TypeError(f"an event of Firestore must be application/protobuf, not {raw['datacontenttype']}")
    data = DocumentEventData.deserialize(body)
    return DocumentEvent(
        id=raw["id"],
        time=datetime.fromisoformat(raw["time"]),
        before=_stored(data.old_value) if "old_value" in data else None,
        after=_stored(data.value) if "value" in data else None,
    )


def _trigger(declare: Callable[..., Any], handler: Handler) -> Trigger:
    """The deployed manifest is made from `__firebase_endpoint__`, which the library's decorator adds."""

    @functools.wraps(handler)
    def handle(raw: CloudEvent) -> None:
        handler(document_event(raw))

    trigger = contained(handle)
    trigger.__firebase_endpoint__ = declare(handler).__firebase_endpoint__  # type: ignore[attr-defined] # as the library does it
    return trigger


def _stored(document: EventDocument) -> Stored[Document]:
    _, project, _, database, _, path = document.name.split("/", 5)
    fields = cast(Document, decode_dict(document.fields, _offline_client(project, database)))
    return Stored(id=path.rpartition("/")[2], value=fields, update_time=document.update_time)


@functools.cache
def _offline_client(project: str, database: str) -> Client:
    """What decode_dict makes document references with. It has no credentials and is never connected."""
    return Client(project=project, database=database, credentials=AnonymousCredentials())
