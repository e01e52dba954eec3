"""Measures the event in which Firestore delivers a new document to its trigger.

The event's body is a google.events.cloud.firestore.v1.DocumentEventData in protobuf; for a created document it has one field,
`value`: the document's name, its fields and two times.
"""

from typing import Any

from google.cloud.firestore_v1._helpers import encode_dict
from google.cloud.firestore_v1.types import Document
from google.protobuf.timestamp_pb2 import Timestamp

EVENT_LIMIT_BYTES = 512_000
"""Eventarc's limit for one event, which cannot be raised: "512 KB" in cloud.google.com/eventarc/docs/quotas and
cloud.google.com/functions/quotas (read in December 2026). The pages do not say whether a KB has 1,000 or 1,024 bytes, nor what
happens to a larger event. This module assumes 1,000, and that a larger event is not delivered."""

CARRIED_BODY_BYTES = 380_000
"""An event with a body of at most this size is certainly delivered. It is below the limit even if Google counts the body in base64 (4/3),
and with the event's attributes, which contain the document's name twice (up to 1,500 bytes each)."""

_LONGEST_NAME = f"projects/{'p' * 30}/databases/{'d' * 63}/documents/"
_TIME = Timestamp(seconds=2**34, nanos=10**9 - 1)
_FIELD_BYTES = 5
"""The bytes that the field `value` adds to the document: the field's number, and the document's length."""


def created_body_bytes(collection: str, document_id: str, fields: dict[str, Any]) -> int:
    """The largest size that the body of the document's `created` event can have, in any project and database."""
    document = Document(name=f"{_LONGEST_NAME}{collection}/{document_id}", fields=encode_dict(fields))
    encoded = Document.pb(document)
    encoded.create_time.CopyFrom(_TIME)
    encoded.update_time.CopyFrom(_TIME)
    return int(encoded.ByteSize()) + _FIELD_BYTES
