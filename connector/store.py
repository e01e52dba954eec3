"""How the connector commits to Firestore: once, within a deadline, and which refusals pass by themselves."""

from datetime import datetime

from google.api_core import exceptions
from google.cloud.firestore import AsyncWriteBatch
from google.protobuf.timestamp_pb2 import Timestamp

UpdateTime = Timestamp | datetime
"""When a document was last written, as a precondition takes it: writes answer the one type, reads the other."""

UNAVAILABLE = (exceptions.GoogleAPICallError, exceptions.RetryError)
"""What is left when the outcomes that a caller expects are taken out: tried again. A missing permission is among them, too:
it can be mended, and what waits for it must not be lost."""

PRECONDITION_FAILED = (exceptions.FailedPrecondition, exceptions.NotFound)
"""Somebody wrote the document since it was read, or deleted it."""

REFUSED_FOR_GOOD = (exceptions.InvalidArgument, exceptions.OutOfRange)


async def commit(batch: AsyncWriteBatch, timeout_s: float) -> list[UpdateTime]:
    """Commits once and returns each write's update time.

    The library would retry by itself, and then a failed precondition may be one's own success.
    """
    results = await batch.commit(retry=None, timeout=timeout_s)
    return [result.update_time for result in results]
