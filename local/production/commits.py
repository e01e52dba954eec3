"""What a commit on its way to Firestore is about, as far as a run wants to meet it there."""

from collections.abc import Iterator
from enum import StrEnum

from google.cloud.firestore_v1 import types

from core import schema


class CommitKind(StrEnum):
    """The first six are a connector's, the others the functions'."""

    WAL = "wal"
    """Rows of the ingest log."""
    CLAIM = "claim"
    RENEWAL = "renewal"
    RELEASE = "release"
    ACCOUNT = "account"
    """The owner tells the account's document something."""
    PRIVATE = "private"
    """The account's private state: the codes of a pairing, and that there are none."""
    OUTCOME = "outcome"
    """A request's end, or its going back to the queue."""
    ATTEMPT = "attempt"
    """A request is claimed for an attempt to send it."""
    MERGE = "merge"
    """A thread is merged into another one."""


def kinds_of(commit: bytes, document: str = "") -> frozenset[CommitKind]:
    """A commit may be several things at once. `document`: only writes whose path has this part, such as an account's id."""
    return frozenset(_kinds(types.CommitRequest.deserialize(commit), document))


def _kinds(commit: types.CommitRequest, document: str) -> Iterator[CommitKind]:
    claims = False
    for write in commit.writes:
        path = write.update.name.rpartition("/documents/")[2].split("/")
        if document and document not in path:
            continue
        fields = frozenset(write.update_mask.field_paths)
        match path:
            case [schema.INGEST, _] if not fields:
                yield CommitKind.WAL
            case [schema.LEASES, _] if "epoch" in fields:
                claims = True
                yield CommitKind.CLAIM
            case [schema.LEASES, _] if "ownerInstanceId" in fields:
                yield CommitKind.RELEASE
            case [schema.LEASES, _] if "leaseUntil" in fields:
                yield CommitKind.RENEWAL
            case [schema.ACCOUNTS, _] if not claims:
                yield CommitKind.ACCOUNT
            case [schema.ACCOUNTS, _, schema.PRIVATE, _]:
                yield CommitKind.PRIVATE
            case [schema.OUTBOX, _] if _status(write) == "sending":
                yield CommitKind.ATTEMPT
            case [schema.OUTBOX, _] if _status(write):
                yield CommitKind.OUTCOME
            case [schema.THREADS, _] if "mergedInto" in fields:
                yield CommitKind.MERGE


def _status(write: types.Write) -> str:
    return write.update.fields["status"].string_value if "status" in write.update.fields else ""
