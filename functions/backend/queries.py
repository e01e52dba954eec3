"""Every Firestore query of the functions, each built by one public function.

The convention that `tests/indexes` enforces: a query is built here and nowhere else in `functions/` (no `.where(` or
`.order_by(` elsewhere), by a public function that takes the client first and returns a Query. The tests call each of
them with sample arguments, made from the annotations, and hold the index that it needs against
`firestore.indexes.json`: the emulator enforces no composite index, so a query that works there may fail in production.
A parameter of a new type needs a sample in `tests/indexes/samples.py`.
"""

from collections.abc import Sequence
from datetime import datetime

from google.cloud.firestore import Client, Query
from google.cloud.firestore_v1.base_query import FieldFilter

from core import schema
from core.account import NEVER
from core.alert_types import AlertType
from core.ids import AccountId, ChatId, ThreadId

_UNFINISHED = ["queued", "sending"]
"""The states of an outbox document that still stands in its thread's queue."""

_COUNTING_DELIVERIES = ["queued", "sent", "delivered", "read"]
"""The deliveries of a reply that counts as an answer: all but failed."""


def queue_head(db: Client, thread_ids: Sequence[ThreadId], limit: int) -> Query:
    """The first requests of a thread's queue, in the order in which they must leave: over all names of a merged thread."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("threadId", "in", thread_ids))
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .order_by("createdAt")
        .order_by("clientMessageId")
        .limit(limit)
    )


def waiting_requests_of_account(db: Client, account_id: AccountId, limit: int) -> Query:
    """An account's unfinished requests, oldest first: what a session that opens must take up."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .order_by("createdAt")
        .limit(limit)
    )


def unfinished_requests(db: Client, before: datetime, limit: int) -> Query:
    """Unfinished requests that were created before `before`, oldest first: what the sweeper looks at."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .where(filter=FieldFilter("createdAt", "<", before))
        .order_by("createdAt")
        .limit(limit)
    )


def unfinished_requests_by_account(db: Client, after: AccountId, limit: int) -> Query:
    """Unfinished requests of the accounts whose ids come after `after`: account by account, each one's oldest first."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .where(filter=FieldFilter("accountId", ">", after))
        .order_by("accountId")
        .order_by("createdAt")
        .limit(limit)
    )


def unfinished_requests_of_account_from(db: Client, account_id: AccountId, since: datetime, limit: int) -> Query:
    """An account's unfinished requests from a moment on: how a sweep sees past what stands at the front."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("status", "in", _UNFINISHED))
        .where(filter=FieldFilter("createdAt", ">=", since))
        .order_by("createdAt")
        .limit(limit)
    )


def requests_sent_since(db: Client, account_id: AccountId, since: datetime) -> Query:
    """Whether a request of the account that was created since then is sent."""
    return (
        db.collection(schema.OUTBOX)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("status", "==", "sent"))
        .where(filter=FieldFilter("createdAt", ">=", since))
        .order_by("createdAt")
        .limit(1)
    )


def unprocessed_rows(db: Client, before: datetime, limit: int) -> Query:
    """WAL rows that were received before `before` and still wait, oldest first: what the sweeper takes up."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("processed", "==", False))
        .where(filter=FieldFilter("receivedAt", "<", before))
        .order_by("receivedAt")
        .limit(limit)
    )


def unprocessed_rows_by_account(db: Client, after: AccountId, limit: int) -> Query:
    """Rows that wait, of the accounts whose ids come after `after`: account by account, each one's oldest first."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("processed", "==", False))
        .where(filter=FieldFilter("accountId", ">", after))
        .order_by("accountId")
        .order_by("receivedAt")
        .limit(limit)
    )


def unprocessed_rows_of_account_from(db: Client, account_id: AccountId, since: datetime, limit: int) -> Query:
    """An account's rows that wait, from a moment on."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("processed", "==", False))
        .where(filter=FieldFilter("receivedAt", ">=", since))
        .order_by("receivedAt")
        .limit(limit)
    )


def parked_rows(db: Client, since: datetime, limit: int) -> Query:
    """Rows that wait apart for their message (`processed` null), from a moment on."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("processed", "==", None))
        .where(filter=FieldFilter("receivedAt", ">=", since))
        .order_by("receivedAt")
        .limit(limit)
    )


def accounts_showing_a_code(db: Client, limit: int) -> Query:
    """Accounts that a QR or phone code is shown for: the only ones whose private/state holds one."""
    return db.collection(schema.ACCOUNTS).where(filter=FieldFilter("status", "==", "qr_ready")).limit(limit)


def leases_without_owner(db: Client, before: datetime, limit: int) -> Query:
    """Leases of wanted accounts that nobody has held since `before`, the longest free first; also those just given back."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("wanted", "==", True))
        .where(filter=FieldFilter("leaseUntil", "<", before))
        .order_by("leaseUntil")
        .limit(limit)
    )


def paused_leases_of_dead_owners(db: Client, before: datetime, limit: int) -> Query:
    """Leases that ran out before `before` while nobody wants them held. One that its owner gave back is none of them."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("wanted", "==", False))
        .where(filter=FieldFilter("leaseUntil", ">", NEVER))
        .where(filter=FieldFilter("leaseUntil", "<", before))
        .order_by("leaseUntil")
        .limit(limit)
    )


def leases_that_flapped(db: Client, since: datetime, limit: int) -> Query:
    """Leases that went from hand to hand after `since`, the latest first."""
    return (
        db.collection(schema.LEASES)
        .where(filter=FieldFilter("flappedAt", ">", since))
        .order_by("flappedAt", direction=Query.DESCENDING)
        .limit(limit)
    )


def open_alerts_of_types(db: Client, types: Sequence[AlertType], limit: int) -> Query:
    """Alerts that are not resolved, of these types."""
    return (
        db.collection(schema.ALERTS)
        .where(filter=FieldFilter("type", "in", [str(each) for each in types]))
        .where(filter=FieldFilter("resolvedAt", "==", None))
        .limit(limit)
    )


def unprocessed_rows_of_chat(db: Client, account_id: AccountId, chat_id: ChatId, limit: int) -> Query:
    """A chat's WAL rows that still wait, oldest first: what one invocation drains together."""
    return (
        db.collection(schema.INGEST)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("chatId", "==", chat_id))
        .where(filter=FieldFilter("processed", "==", False))
        .order_by("receivedAt")
        .limit(limit)
    )


def threads_of_phone(db: Client, account_id: AccountId, phone_e164: str, limit: int) -> Query:
    """The threads of an account whose contact has this number."""
    return (
        db.collection(schema.THREADS)
        .where(filter=FieldFilter("accountId", "==", account_id))
        .where(filter=FieldFilter("clientPhoneE164", "==", phone_e164))
        .limit(limit)
    )


def preferences_from(db: Client, uid: str, thread_id: ThreadId) -> Query:
    """The first preferences at or behind this user's of this thread: users by their ids, each one's threads by theirs."""
    at = db.collection(schema.prefs_of(uid)).document(thread_id)
    return db.collection_group(schema.PREFS).order_by("__name__").start_at({"__name__": at}).select([]).limit(1)


def messages_of_contact_from(db: Client, thread_ids: Sequence[ThreadId], since: datetime) -> Query:
    """What the contact wrote in a thread from a moment on, to be counted."""
    return (
        db.collection(schema.MESSAGES)
        .where(filter=FieldFilter("threadId", "in", thread_ids))
        .where(filter=FieldFilter("direction", "==", "in"))
        .where(filter=FieldFilter("timestamp", ">=", since))
        .order_by("timestamp", direction=Query.DESCENDING)
    )


def messages_of_contact_between(db: Client, thread_ids: Sequence[ThreadId], since: datetime, before: datetime) -> Query:
    """What the contact wrote in a thread in a span of time."""
    return messages_of_contact_from(db, thread_ids, since).where(filter=FieldFilter("timestamp", "<", before))


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
