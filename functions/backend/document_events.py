"""Decodes the Firestore events that triggers receive, without a Firestore client.

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
    """One write of a document. `before` is None if the write created the document, `after` if it deleted the document.

    Both are None if a document was deleted that did not exist: the emulator sends an event for that, too.
    """

    id: str
    """The same in each delivery of the event."""
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
    """Like on_document_created, but for each write of a document."""
    return functools.partial(_trigger, firestore_fn.on_document_written(**options))


def document_event(raw: CloudEvent) -> DocumentEvent:
    """Raises TypeError if the event is not protobuf, the only content type of Firestore's events."""
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
    """decode_dict needs a client to make document references. This client has no credentials and never connects."""
    return Client(project=project, database=database, credentials=AnonymousCredentials())
