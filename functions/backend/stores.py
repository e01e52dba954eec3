"""Firestore as the workflows use it: typed reads, and commits under preconditions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition, NotFound
from google.cloud.firestore import Client, DocumentReference, DocumentSnapshot, Increment, Query
from google.cloud.firestore_v1._helpers import decode_dict

from core import account, alert, message, schema, thread
from core.account import Lease, Status
from core.alert import Alert
from core.ids import AccountId, EventId, RequestId, ThreadId, WaMessageId
from core.message import StoredMessage
from core.thread import Thread

COMMIT_TIMEOUT_S = 20.0

T = TypeVar("T")
Document = dict[str, Any]
Snapshot = DocumentSnapshot[DocumentReference]


class Conflict(Exception):
    """Nothing was written, because another writer was faster: load again, decide again, commit again.

    It proves nothing about any document. In particular, `Aborted` only means that Firestore gave up under contention.
    """


class DocumentExists(Conflict):
    """A document that the commit was to create exists already."""


class Missing(Conflict):
    """A document that the commit was to change does not exist."""


@dataclass(frozen=True, kw_only=True)
class Stored(Generic[T]):
    """A document as it was read; `update_time` is what a commit's precondition names."""

    id: str
    value: T
    update_time: datetime


@dataclass(frozen=True, kw_only=True)
class _Write:
    reference: DocumentReference
    fields: Mapping[str, object]
    at: datetime | None = None
    """The update time that the document must have; None: no matter which."""
    creates: bool = False
    deletes: bool = False
    merges: bool = False
    if_it_stands: Mapping[str, object] | None = None
    """Of a created document: what to change instead where it stands already."""


class Commit:
    """Writes that stand or fall together."""

    def __init__(self, stores: "Stores") -> None:
        self._stores = stores
        self._writes: list[_Write] = []

    def create(self, collection: str, document_id: str, fields: Mapping[str, object]) -> None:
        reference = self._stores.reference(collection, document_id)
        self._writes.append(_Write(reference=reference, fields=fields, creates=True))

    def update(self, collection: str, document_id: str, fields: Mapping[str, object], at: datetime) -> int:
        """The answer is the write's place in what `run` returns."""
        self._writes.append(_Write(reference=self._stores.reference(collection, document_id), fields=fields, at=at))
        return len(self._writes) - 1

    def delete(self, collection: str, document_id: str, at: datetime) -> None:
        reference = self._stores.reference(collection, document_id)
        self._writes.append(_Write(reference=reference, fields={}, at=at, deletes=True))

    def change(self, collection: str, document_id: str, fields: Mapping[str, object]) -> None:
        """Changes fields that nobody else writes, whatever else the document holds; it must exist."""
        self._writes.append(_Write(reference=self._stores.reference(collection, document_id), fields=fields))

    def put(self, reference: DocumentReference, fields: Mapping[str, object]) -> None:
        """Creates the document, or changes these fields of it."""
        self._writes.append(_Write(reference=reference, fields=fields, merges=True))

    def raise_alert(self, raised: Alert, now: datetime) -> None:
        """Creates the alert; where it stands already, it is counted and open again."""
        reference = self._stores.reference(schema.ALERTS, raised.alert_id)
        if all(write.reference.id != reference.id for write in self._writes):
            again = {**raised.again_fields(now), "count": Increment(1)}
            write = _Write(reference=reference, fields=raised.document(now), creates=True, if_it_stands=again)
            self._writes.append(write)

    def resolve_alert(self, alert_id: str, now: datetime) -> None:
        """Closes an alert, where one is open: nobody has to act on it any more. Reads it."""
        standing = self._stores.alert(alert_id)
        named = any(write.reference.id == alert_id for write in self._writes)
        if standing is not None and alert.is_open(standing.value) and not named:
            self.change(schema.ALERTS, alert_id, alert.resolved_fields(now))

    @property
    def is_empty(self) -> bool:
        return not self._writes

    def run(self) -> list[datetime]:
        """Commits. The answer is each write's update time, in the order in which they were added. Raises Conflict.

        The client's own retry is off: with it, a conflict could be the success of one's own first try.
        """
        while True:
            try:
                return [result.update_time for result in self._batch().commit(retry=None, timeout=COMMIT_TIMEOUT_S)]
            except AlreadyExists as error:
                if not self._change_what_stands(str(error)):
                    raise DocumentExists(type(error).__name__) from error
            except NotFound as error:
                raise Missing from error
            except (FailedPrecondition, Aborted) as error:
                raise Conflict(type(error).__name__) from error

    def _change_what_stands(self, refusal: str) -> bool:
        """Turns the creation that was refused into its change, where it has one. The refusal names the document."""
        for place, write in enumerate(self._writes):
            if write.creates and write.if_it_stands is not None and write.reference.id in refusal:
                self._writes[place] = _Write(reference=write.reference, fields=write.if_it_stands)
                return True
        return False

    def _batch(self) -> Any:
        batch = self._stores.db.batch()
        for write in self._writes:
            if write.creates:
                batch.create(write.reference, dict(write.fields))
            elif write.merges:
                batch.set(write.reference, dict(write.fields), merge=True)
            elif write.at is None:
                batch.update(write.reference, dict(write.fields))
            elif write.deletes:
                batch.delete(write.reference, option=self._stores.db.write_option(last_update_time=write.at))
            else:
                option = self._stores.db.write_option(last_update_time=write.at)
                batch.update(write.reference, dict(write.fields), option=option)
        return batch


class Stores:
    """Reads, and commits, of the product's collections."""

    def __init__(self, db: Client) -> None:
        self.db = db

    def reference(self, collection: str, document_id: str) -> DocumentReference:
        return self.db.collection(collection).document(document_id)

    def private_state(self, account_id: AccountId) -> DocumentReference:
        """The document of an account's codes."""
        private = self.reference(schema.ACCOUNTS, account_id).collection(schema.PRIVATE)
        return cast(DocumentReference, private.document(schema.PRIVATE_STATE))

    def commit(self) -> Commit:
        return Commit(self)

    def thread(self, thread_id: ThreadId) -> Stored[Thread] | None:
        """The thread, or the one that it was merged into: the answer's id says which. The second costs a read more."""
        return self._followed(self._read(schema.THREADS, thread_id, thread.parse))

    def thread_document(self, thread_id: ThreadId) -> Stored[Document] | None:
        """The document of this very thread, whether it was merged or not."""
        return self._read(schema.THREADS, thread_id, dict)

    def _followed(self, found: Stored[Thread] | None) -> Stored[Thread] | None:
        if found is None or found.value.merged_into is None:
            return found
        return self._read(schema.THREADS, found.value.merged_into, thread.parse)

    def message(self, message_id: WaMessageId) -> Stored[StoredMessage] | None:
        return self._read(schema.MESSAGES, message_id, message.parse)

    def lease(self, account_id: AccountId) -> Stored[Lease] | None:
        return self._read(schema.LEASES, account_id, account.parse_lease)

    def account(self, account_id: AccountId) -> Stored[Document] | None:
        return self._read(schema.ACCOUNTS, account_id, dict)

    def request(self, request_id: RequestId) -> Stored[Document] | None:
        return self._read(schema.OUTBOX, request_id, dict)

    def row(self, event_id: EventId) -> Stored[Document] | None:
        return self._read(schema.INGEST, event_id, dict)

    def alert(self, alert_id: str) -> Stored[Document] | None:
        return self._read(schema.ALERTS, alert_id, dict)

    def paths(self, query: Query) -> list[tuple[str, ...]]:
        """The whole paths of what a query finds: of one over all collections of a name."""
        return [tuple(snapshot.reference.path.split("/")) for snapshot in query.stream()]

    def is_connected(self, account_id: AccountId) -> bool:
        """What the account document says; only its owner's answer is certain."""
        stored = self.account(account_id)
        return stored is not None and stored.value.get("status") == Status.CONNECTED

    def thread_and_messages(
        self, thread_id: ThreadId | None, message_ids: Iterable[WaMessageId]
    ) -> tuple[Stored[Thread] | None, dict[WaMessageId, Stored[StoredMessage]]]:
        """One read of the thread and the messages that stand. A merged thread is followed, as `thread` does."""
        references = [self.reference(schema.THREADS, thread_id)] if thread_id is not None else []
        references += [self.reference(schema.MESSAGES, message_id) for message_id in message_ids]
        found: Stored[Thread] | None = None
        messages: dict[WaMessageId, Stored[StoredMessage]] = {}
        for snapshot in self.db.get_all(references):
            if not snapshot.exists:
                continue
            if snapshot.reference.parent.id == schema.THREADS:
                found = stored_as(snapshot, thread.parse)
            else:
                messages[WaMessageId(snapshot.id)] = stored_as(snapshot, message.parse)
        return self._followed(found), messages

    def standing(self, message_ids: Iterable[WaMessageId]) -> set[WaMessageId]:
        """Those of the messages that stand."""
        references = [self.reference(schema.MESSAGES, message_id) for message_id in message_ids]
        if not references:
            return set()
        found = self.db.get_all(references, field_paths=["delivery"])
        return {WaMessageId(snapshot.id) for snapshot in found if snapshot.exists}

    def documents(self, collection: str, document_ids: Iterable[str]) -> dict[str, Stored[Document]]:
        """One read of several documents; those that do not exist are left out."""
        references = [self.reference(collection, document_id) for document_id in document_ids]
        found = self.db.get_all(references)
        return {snapshot.id: stored_as(snapshot, dict) for snapshot in found if snapshot.exists}

    def find(self, query: Query) -> list[Stored[Document]]:
        return [stored_as(snapshot, dict) for snapshot in query.stream()]

    def count(self, query: Query) -> int:
        """How many documents a query finds, without reading them: billed as one read for each 1,000 of them."""
        found: Any = cast(Any, query.count()).get()
        return int(found[0][0].value)

    def pages(self, query: Query, limit_pages: int) -> Iterator[list[Stored[Document]]]:
        """A query's results, a page of its limit at a time."""
        for _ in range(limit_pages):
            snapshots = list(query.stream())
            if snapshots:
                yield [stored_as(snapshot, dict) for snapshot in snapshots]
                query = query.start_after(snapshots[-1])
            else:
                return

    def _read(self, collection: str, document_id: str, parse: Callable[[Document], T]) -> Stored[T] | None:
        """By the API's own call for one document: the library's `get` is a stream of one, at twice the CPU on both sides."""
        name = f"{self.db._database_string}/documents/{collection}/{document_id}"
        try:
            found = self.db._firestore_api.get_document(request={"name": name}, metadata=self.db._rpc_metadata)
        except NotFound:
            return None
        fields = cast(Document, decode_dict(found.fields, self.db))
        return Stored(id=document_id, value=parse(fields), update_time=found.update_time)


def names_of(found: Stored[Thread]) -> tuple[ThreadId, ...]:
    """The ids under which a thread's messages and requests stand: its own, and those of the threads that were merged into it."""
    return (ThreadId(found.id), *found.value.merged_from)


def stored_as(snapshot: Snapshot, parse: Callable[[Document], T]) -> Stored[T]:
    """A snapshot that exists, parsed."""
    document, update_time = snapshot.to_dict(), snapshot.update_time
    if document is None or update_time is None:
        raise ValueError("a snapshot of a document that does not exist has no value")
    return Stored(id=snapshot.id, value=parse(document), update_time=update_time)
