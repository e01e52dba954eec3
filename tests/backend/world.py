"""What the workflows' tests stand in: the real Firestore emulator and Cloud Tasks server, and a scripted connector."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from google.cloud.firestore import SERVER_TIMESTAMP, Client

from backend.accept import Acceptance
from backend.ingest import Ingest
from backend.send import JobEnd
from backend.send_queue import Job
from backend.services import Services
from backend.settings import Settings
from backend.stores import stored_as
from core import ids, schema
from core.account import Lease, claim_fields, new_account_document, new_lease_document, parse_lease
from core.ids import AccountId, ChatId, RequestId, ThreadId, WorkerId
from core.thread import Thread, new_document
from local.cloud_tasks.client import TaskServer
from tests.backend.scripted_connector import ScriptedConnector
from tests.waiting import wait_until

Document = dict[str, Any]

NOBODY_LISTENS = "http://127.0.0.1:1"
"""An allowed connector's address while the connector is down."""


_written = itertools.count()


@dataclass(kw_only=True)
class World:
    """One test's account, connected, with chats of its own."""

    db: Client
    settings: Settings
    services: Services
    connector: ScriptedConnector
    tasks: TaskServer
    endpoint: str
    account: AccountId = field(default_factory=lambda: AccountId(f"t-{uuid4().hex[:12]}"))
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(40700000001))

    def connect(self, *, endpoint: str | None = None) -> None:
        """Account and lease stand as after a claim, for an hour."""
        at = datetime.now(UTC)
        lease = parse_lease(new_lease_document(at))
        claimed = claim_fields(lease, WorkerId("w1"), endpoint or self.endpoint, at, 3600)
        account = new_account_document(self.account, "Shop") | {"status": "connected"}
        self.db.collection(schema.ACCOUNTS).document(self.account).set(account)
        self.db.collection(schema.LEASES).document(self.account).set(new_lease_document(at) | claimed)

    def pause(self) -> None:
        fields = {"wanted": False, "ownerInstanceId": None, "endpoint": None}
        self.db.collection(schema.LEASES).document(self.account).update(fields)

    def lease(self) -> Lease:
        document = self.db.collection(schema.LEASES).document(self.account).get().to_dict()
        assert document is not None
        return parse_lease(document)

    def chat(self, *, thread: bool = True) -> ChatId:
        """A new contact's chat, with its thread unless said otherwise."""
        chat = ChatId(f"{next(self._numbers)}@s.whatsapp.net")
        if thread:
            document = new_document(self.account, chat, Thread(), datetime.now(UTC))
            self.db.collection(schema.THREADS).document(self.thread_id(chat)).create(document)
        return chat

    def thread_id(self, chat: ChatId) -> ThreadId:
        return ids.thread_id(self.account, chat)

    # ---- the client's side

    def write(self, chat: ChatId, text: str = "hello", **changes: Any) -> RequestId:
        """Creates an outbox document as a client does, with an ascending clientMessageId: two may be created in one millisecond.
        `changes` are what only a server key can do (None: left out)."""
        thread, client_message_id = self.thread_id(chat), f"{next(_written):08d}-{uuid4().hex[:8]}"
        fields = {
            "threadId": thread,
            "accountId": self.account,
            "chatId": chat,
            "to": chat,
            "text": text,
            "clientMessageId": client_message_id,
            "createdByUid": "uid-1",
            "createdByEmail": "ana@example.com",
            "createdAt": SERVER_TIMESTAMP,
            "status": "queued",
        } | changes
        request = ids.request_id(thread, chat, text, client_message_id)
        document = {name: value for name, value in fields.items() if value is not None}
        self.db.collection(schema.OUTBOX).document(request).create(document)
        return request

    def trigger_outbox(self, request: RequestId) -> Acceptance:
        """threadlineOnOutbox, as the event of the document's creation calls it."""
        stored = stored_as(self.db.collection(schema.OUTBOX).document(request).get(), dict)
        ended = self.services.accept.new_request(stored)
        if ended is Acceptance.ACCEPTED:
            self.services.queue.enqueue(Job(thread_id=ThreadId(stored.value["threadId"])), stored.id)
        return ended

    def send_job(self, chat: ChatId, *, is_retry: bool = False) -> JobEnd:
        return self.services.send.run(Job(thread_id=self.thread_id(chat)), is_retry=is_retry)

    def accept(self, request: RequestId) -> None:
        stored = stored_as(self.db.collection(schema.OUTBOX).document(request).get(), dict)
        self.services.accept.new_request(stored)

    # ---- the connector's side

    def receive(
        self, chat: ChatId, text: str, key: str | None = None, *, at: datetime | None = None, **changes: Any
    ) -> str:
        """Writes a contact's message to the ingest log; the answer is the row's id."""
        payload = {"kind": "text", "text": text, "fromMe": False, "pushName": "Ana"} | changes.pop("payload", {})
        return self._row(chat, "message", key or f"{uuid4().hex[:20].upper()}-in", payload, at, **changes)

    def receipt(self, chat: ChatId, target: str, value: str) -> str:
        payload = {"target": target, "delivery": value}
        return self._row(chat, "receipt", f"{target}-receipt-{value}", payload, None)

    def _row(self, chat: str, event_type: str, key: str, payload: Document, at: datetime | None, **changes: Any) -> str:
        now = datetime.now(UTC)
        row = {
            "accountId": self.account,
            "chatId": chat,
            "eventType": event_type,
            "waMessageKey": key,
            "payload": payload,
            "timestamp": at or now,
            "receivedAt": now,
            "processed": False,
            "processedAt": None,
            "processAttempts": 0,
            "lastProcessError": None,
        } | changes
        event = f"{self.account}_{chat}_{key}"
        self.db.collection(schema.INGEST).document(event).create(row)
        return event

    def trigger_ingest(self, event: str, ingest: Ingest | None = None) -> None:
        """threadlineOnIngest, with the row as it stands now."""
        stored = stored_as(self.db.collection(schema.INGEST).document(event).get(), dict)
        (ingest or self.services.ingest).take(stored.id, stored.value, stored.update_time)

    # ---- what stands

    def request(self, request: RequestId) -> Document:
        return self._document(schema.OUTBOX, request)

    def message(self, chat: ChatId, key: str) -> Document:
        return self._document(schema.MESSAGES, f"{self.thread_id(chat)}_{key}")

    def thread(self, chat: ChatId) -> Document:
        return self._document(schema.THREADS, self.thread_id(chat))

    def row(self, event: str) -> Document:
        return self._document(schema.INGEST, event)

    def alerts(self) -> list[Document]:
        found = (snapshot.to_dict() for snapshot in self.db.collection(schema.ALERTS).stream())
        return [alert for alert in found if alert and alert["accountId"] == self.account]

    def alert_of(self, code: str, cause: str) -> Document | None:
        return self.db.collection(schema.ALERTS).document(f"{code}_{ids.short_hash(cause)}").get().to_dict()

    def hold_until(self, request: RequestId, seconds: float) -> None:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        self.db.collection(schema.OUTBOX).document(request).update({"claimUntil": until, "status": "sending"})

    def wait_for(self, request: RequestId, status: str, limit_s: float = 20.0) -> Document:
        wait_until(lambda: self.request(request).get("status") == status, f"the request is {status}", limit_s)
        return self.request(request)

    def _document(self, collection: str, name: str) -> Document:
        document = self.db.collection(collection).document(name).get().to_dict()
        assert document is not None, f"there is no such document in {collection}"
        return document


def key_of(request: RequestId) -> str:
    return ids.outbound_key(request)
