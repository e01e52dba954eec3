"""An event of Firestore, decoded without a client: what a handler is given of it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from google.cloud.firestore_v1._helpers import encode_dict
from google.cloud.firestore_v1.types import Document, Value
from google.events.cloud.firestore import DocumentEventData

from backend.document_events import document_event

_ROOT = "projects/demo-threadline/databases/threadline/documents"
_AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_FIELDS: dict[str, Any] = {
    "text": "héllo 🎉",
    "wire": b"\x00\xff",
    "at": _AT,
    "count": 3,
    "ratio": 0.5,
    "open": True,
    "nothing": None,
    "inner": {"list": [1, "two"]},
}


def event(**documents: Document) -> CloudEvent:
    data = DocumentEventData()
    for name, document in documents.items():
        setattr(data, name, type(data.value).deserialize(Document.serialize(document)))
    attributes = {"id": "e-1", "source": "x", "type": "t", "time": "2026-03-01T12:00:01.5Z", "specversion": "1.0"}
    return CloudEvent(attributes, DocumentEventData.serialize(data))


def document(document_id: str, fields: dict[str, Any]) -> Document:
    values = encode_dict(fields)
    return Document(name=f"{_ROOT}/things/{document_id}", fields=values, create_time=_AT, update_time=_AT)


def test_a_created_document_has_its_fields_its_id_and_the_update_time_that_a_commit_names() -> None:
    found = document_event(event(value=document("größe", _FIELDS)))
    assert (found.id, found.time) == ("e-1", datetime(2026, 3, 1, 12, 0, 1, 500000, tzinfo=UTC))
    assert found.before is None
    assert found.after is not None
    assert (found.after.id, found.after.value, found.after.update_time) == ("größe", _FIELDS, _AT)


def test_a_change_has_both_forms_and_a_deletion_the_last_one() -> None:
    one, two = document("a", {"n": 1}), document("a", {"n": 2})
    changed, deleted = document_event(event(old_value=one, value=two)), document_event(event(old_value=two))
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.value, changed.after.value) == ({"n": 1}, {"n": 2})
    assert deleted.before is not None
    assert deleted.after is None


def test_an_event_without_a_document_has_neither() -> None:
    """The emulator sends it for the delete of a document that does not exist."""
    found = document_event(event())
    assert (found.before, found.after) == (None, None)


def test_a_reference_is_a_reference_and_no_string() -> None:
    """A request whose text is a reference must be refused, as when it is read from Firestore."""
    value = Value(reference_value=f"{_ROOT}/things/b")
    found = document_event(event(value=Document(name=f"{_ROOT}/things/a", fields={"text": value}, update_time=_AT)))
    assert found.after is not None
    assert not isinstance(found.after.value["text"], str)
    assert found.after.value["text"].path == "things/b"


def test_an_event_in_another_encoding_is_refused() -> None:
    attributes = {"id": "e", "source": "x", "type": "t", "time": "2026-03-01T12:00:00Z", "specversion": "1.0"}
    with pytest.raises(TypeError, match="application/protobuf"):
        document_event(CloudEvent({**attributes, "datacontenttype": "application/json"}, {"value": {}}))
