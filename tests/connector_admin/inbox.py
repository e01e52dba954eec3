"""A project's documents as the services leave them, written by the core's own makers."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore import Client

from core import ids, schema
from core.account import claim_fields, new_account_document, new_lease_document, parse_lease
from core.alert import Alert
from core.content import Text
from core.errors import ErrorCode, described
from core.ids import AccountId, ChatId, RequestId, ThreadId, WaMessageKey, WorkerId
from core.message import inbound_document, outbound_document
from core.moment import Moment
from core.thread import Thread, new_document
from tests.connector_admin.running import CommandLine

Document = dict[str, Any]
DIGITS = "4070000000"
"""Every number here begins so."""


@dataclass(kw_only=True)
class Inbox:
    """One test's project."""

    db: Client
    admin: CommandLine
    _names: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def account(self, *, owner: str | None = "worker-1", lease_s: float = 3600, **fields: Any) -> AccountId:
        """One that is paired, connected and owned, unless said otherwise."""
        account, now = AccountId(f"shop-{next(self._names)}"), datetime.now(UTC)
        connected = {"status": "connected", "phoneE164": f"+{DIGITS}99", "lastSeenAt": now, "assignedWorkerId": owner}
        self.put(schema.ACCOUNTS, account, new_account_document(account, "Front desk") | connected | fields)
        lease = new_lease_document(now) | {"wanted": fields.get("desiredState") != "paused"}
        if owner is not None:
            term = claim_fields(parse_lease(lease), WorkerId(owner), "http://127.0.0.1:1", now, 24)
            until = now + timedelta(seconds=lease_s)
            lease |= {**term, "leaseUntil": until, "updatedAt": min(now, until)}
        self.put(schema.LEASES, account, lease)
        return account

    def chat(self, account: AccountId, **fields: Any) -> ThreadId:
        chat = ChatId(f"{DIGITS}{next(self._names):02}@s.whatsapp.net")
        document = new_document(account, chat, Thread(client_display_name="Ion"), datetime.now(UTC))
        self.put(schema.THREADS, ids.thread_id(account, chat), document | fields)
        return ids.thread_id(account, chat)

    def request(self, thread: ThreadId, text: str = "hello", *, age_s: float = 0, **fields: Any) -> RequestId:
        """With its message, as it was accepted."""
        account, chat = ids.parse_thread_id(thread)
        created_at, client_message = datetime.now(UTC) - timedelta(seconds=age_s), f"client-{next(self._names)}"
        request = ids.request_id(thread, chat, text, client_message)
        document = {
            "threadId": thread,
            "accountId": account,
            "chatId": chat,
            "to": chat,
            "text": text,
            "clientMessageId": client_message,
            "createdByUid": "uid-1",
            "createdByEmail": "ana@example.com",
            "createdAt": created_at,
            "status": "queued",
        }
        self.put(schema.OUTBOX, request, document | fields)
        key = ids.outbound_key(request)
        sent = outbound_document(
            account,
            chat,
            key,
            request,
            text=text,
            created_at=created_at,
            sender_uid="uid-1",
            sender_email="ana@example.com",
            now=created_at,
        )
        self.put(schema.MESSAGES, ids.wa_message_id(thread, key), sent)
        return request

    def uncertain(self, thread: ThreadId) -> RequestId:
        """A request whose attempts all went without an answer, with its alert."""
        error = described(ErrorCode.OUTCOME_UNKNOWN, "no answer in 8 attempts")
        request = self.request(thread, status="failed", attempts=8, lastError=error)
        key = ids.outbound_key(request)
        self.db.collection(schema.OUTBOX).document(request).update({"waMessageKey": key})
        message = ids.wa_message_id(thread, key)
        self.db.collection(schema.MESSAGES).document(message).update({"delivery": "failed", "error": error})
        account, _ = ids.parse_thread_id(thread)
        self.alert(ErrorCode.OUTCOME_UNKNOWN, request, account, f"{schema.OUTBOX}/{request}")
        return request

    def received(self, thread: ThreadId, text: str, *, age_s: float = 0, name: str | None = "Ion") -> str:
        """A contact's message that stands."""
        account, chat = ids.parse_thread_id(thread)
        key = ids.inbound_key(f"ID{next(self._names)}")
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        document = inbound_document(
            account,
            chat,
            key,
            content=Text(text=text),
            written=Moment(at=at, received_at=at),
            sender_name=name,
            sender_chat=None,
            now=at,
        )
        message = ids.wa_message_id(thread, key)
        self.put(schema.MESSAGES, message, document)
        return message

    def row(self, thread: ThreadId, error: str | None, **fields: Any) -> str:
        """A contact's text in the ingest log, processed; with an error, kept."""
        account, chat = ids.parse_thread_id(thread)
        key, now = WaMessageKey(ids.inbound_key(f"ID{next(self._names)}")), datetime.now(UTC)
        event = ids.event_id(thread, key)
        document: Document = {
            "accountId": account,
            "chatId": chat,
            "eventType": "message",
            "waMessageKey": key,
            "payload": {"kind": "text", "text": "hello", "fromMe": False, "pushName": "Ion"},
            "timestamp": now,
            "receivedAt": now,
            "processed": True,
            "processedAt": now,
            "processAttempts": 1,
            "lastProcessError": error,
        }
        self.put(schema.INGEST, event, document | fields)
        return event

    def alert(
        self, code: ErrorCode, cause: str, account: AccountId | None, about: str | None = None, *, age_s: float = 0
    ) -> str:
        alert = Alert(code=code, cause=cause, message=described(code, "it happened"), account_id=account, about=about)
        self.put(schema.ALERTS, alert.alert_id, alert.document(datetime.now(UTC) - timedelta(seconds=age_s)))
        return alert.alert_id

    def put(self, collection: str, name: str, document: Document) -> None:
        self.db.collection(collection).document(name).set(document)

    def get(self, collection: str, name: str) -> Document:
        found = self.db.collection(collection).document(name).get().to_dict()
        assert found is not None, f"there is no such document in {collection}"
        return found
