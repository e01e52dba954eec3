"""Every Firestore query of the connector, each built by one public function.

The convention is that of `functions/backend/queries.py`: no `.where(` or `.order_by(` stands elsewhere in `connector/`;
a public function takes the client first and returns a query; `tests/indexes` calls each with sample arguments and holds
the index that it needs against `firestore.indexes.json`. Filters are passed as `filter=FieldFilter(...)`: positional
ones raise a warning, which the tests treat as an error.
"""

from collections.abc import Sequence
from datetime import datetime

from google.cloud.firestore import AsyncClient, AsyncQuery, Client, Query
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from core.ids import AccountId, ThreadId, WaMessageKey, WorkerId

_UNFINISHED = ["queued", "sending"]
_COUNTING_DELIVERIES = ["queued", "sent", "delivered", "read"]
"""The deliveries of a reply that counts as an answer: all but failed."""
_ROW_FIELDS = ["chatId", "eventType", "receivedAt"] + [
    f"payload.{name}" for name in ("chatJid", "whatsappId", "fromMe", "timestampS")
]
_QUEUE_FIELDS = [
    "accountId",
    "threadId",
    "status",
    "attempts",
    "createdAt",
    "claimUntil",
    "lastTriedAt",
    "lastError",
    "heldBy",
]


def free_leases(db: AsyncClient, now: datetime, limit: int) -> AsyncQuery:
    """Leases of wanted accounts that nobody holds any more, the longest free first."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("wanted", "==", True))
        .where(filter=FieldFilter("leaseUntil", "<", now))
        .order_by("leaseUntil")
        .limit(limit)
    )


def leases_at_endpoint(db: AsyncClient, endpoint: str) -> AsyncQuery:
    """Leases that name this connector address, whichever instance owns them, expired ones included."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("endpoint", "==", endpoint))
        .select(["ownerInstanceId", "leaseUntil"])
    )


def leases_to_hand_over(db: AsyncClient, owner: WorkerId, successor: WorkerId) -> AsyncQuery:
    """Leases of `owner` that `successor` has asked for."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("ownerInstanceId", "==", owner))
        .where(filter=FieldFilter("handOverTo.workerId", "==", successor))
        .select([])
    )


def newest_rows_before(db: AsyncClient, account_id: AccountId, before: datetime, limit: int) -> AsyncQuery:
    """Rows of the ingest log, the newest first, by when they were received."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("processed", "in", [True, False]))
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("receivedAt", "<", before))
        .order_by("receivedAt", direction=Query.DESCENDING)
        .limit(limit)
        .select([*_ROW_FIELDS])
    )


def rows_of_keys(db: AsyncClient, account_id: AccountId, keys: Sequence[WaMessageKey]) -> AsyncQuery:
    """An account's rows of these keys, at most 30, whatever chat they name."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("waMessageKey", "in", keys))
        .select(["chatId", "waMessageKey", "fromHistory", "payload.chatJid", "payload.chatOtherJid"])
    )


def history_rows_of_time(db: AsyncClient, account_id: AccountId, start: datetime, end: datetime) -> AsyncQuery:
    """Messages that came first as an answer to a request for history, by WhatsApp's time."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("fromHistory", "==", True))
        .where(filter=FieldFilter("timestamp", ">=", start))
        .where(filter=FieldFilter("timestamp", "<=", end))
    )


def open_alerts_of_account(db: AsyncClient, account_id: AccountId) -> AsyncQuery:
    return (
        db.collection(schema.ALERTS)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("resolvedAt", "==", None))
    )


# Of the command line (connector/admin), which waits for its answers.


def waiting_requests(db: Client, limit: int) -> Query:
    """Unfinished requests of all accounts, the oldest first, without their texts."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .order_by("createdAt")
        .limit(limit)
        .select(_QUEUE_FIELDS)
    )


def waiting_requests_of_account(db: Client, account_id: AccountId, limit: int) -> Query:
    """Unfinished requests of an account, the oldest first, without their texts."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .order_by("createdAt")
        .limit(limit)
        .select(_QUEUE_FIELDS)
    )


def open_alerts(db: Client, limit: int) -> Query:
    """In no order of use: the index of the one field gives them, and who reads them sorts them."""
    return db.collection(schema.ALERTS).where(filter=FieldFilter("resolvedAt", "==", None)).limit(limit)


def processed_rows_of_account(db: Client, account_id: AccountId) -> Query:
    """What became of an account's rows, without what they hold."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("processed", "==", True))
        .select(["lastProcessError"])
    )


def newest_messages(db: Client, thread_ids: Sequence[ThreadId], limit: int) -> Query:
    return (
        db.collection(schema.MESSAGES)
        .where(filter=FieldFilter("threadId", "in", thread_ids))
        .order_by("timestamp", direction=Query.DESCENDING)
        .limit(limit)
    )


def newest_replies(db: Client, thread_ids: Sequence[ThreadId], limit: int) -> Query:
    """A thread's messages of ours that were not taken back, the last written first."""
    return (
        db.collection(schema.MESSAGES)
        .where(filter=FieldFilter("threadId", "in", thread_ids))
        .where(filter=FieldFilter("delivery", "in", _COUNTING_DELIVERIES))
        .order_by("writtenAt", direction=Query.DESCENDING)
        .limit(limit)
    )


def newest_messages_of_ours(db: Client, thread_ids: Sequence[ThreadId], limit: int) -> Query:
    """A thread's messages of ours by their timestamp, the last first; those that were taken back, too."""
    return (
        db.collection(schema.MESSAGES)
        .where(filter=FieldFilter("threadId", "in", thread_ids))
        .where(filter=FieldFilter("direction", "==", "out"))
        .order_by("timestamp", direction=Query.DESCENDING)
        .limit(limit)
    )


def messages_of_contact_from(db: Client, thread_ids: Sequence[ThreadId], since: datetime) -> Query:
    """When the contact wrote in a thread from a moment on, without the texts."""
    return (
        db.collection(schema.MESSAGES)
        .where(filter=FieldFilter("threadId", "in", thread_ids))
        .where(filter=FieldFilter("direction", "==", "in"))
        .where(filter=FieldFilter("timestamp", ">=", since))
        .order_by("timestamp", direction=Query.DESCENDING)
        .select(["timestamp", "receivedAt"])
    )


def thread_ids(db: Client, account_id: AccountId) -> Query:
    return _ids(db, schema.THREADS, account_id)


def request_ids(db: Client, account_id: AccountId) -> Query:
    return _ids(db, schema.OUTBOX, account_id)


def row_ids(db: Client, account_id: AccountId) -> Query:
    return _ids(db, schema.INGEST, account_id)


def _ids(db: Client, collection: str, account_id: AccountId) -> Query:
    return db.collection(collection).where(filter=FieldFilter("accountId", "==", account_id)).select([])
