"""What only the doctor (`connector.admin doctor`) uses: a reserved account, and the two canary documents of a diagnosis.

The account has no account document, no lease and no thread, so that it appears in no list and no client may write to it.
"""

from core.ids import (
    AccountId,
    ChatId,
    EventId,
    RequestId,
    WaMessageKey,
    event_id,
    request_id,
    thread_id,
)

ACCOUNT = AccountId("threadline-doctor")
CHAT = ChatId("00000@s.whatsapp.net")
"""No phone number: none begins with 0."""
THREAD = thread_id(ACCOUNT, CHAT)
EVENT_TYPE = "diagnosis"
_TEXT = "diagnosis"


def row_id(name: str) -> EventId:
    return event_id(THREAD, _key(name))


def row_document(name: str, at: object) -> dict[str, object]:
    """A row of the ingest log that asks the functions for a report. `at` is the time of its creation, best Firestore's own."""
    return {
        "accountId": ACCOUNT,
        "chatId": CHAT,
        "eventType": EVENT_TYPE,
        "waMessageKey": _key(name),
        "payload": {},
        "receivedAt": at,
        "timestamp": at,
        "processed": False,
        "processedAt": None,
        "processAttempts": 0,
        "lastProcessError": None,
    }


def outbox_id(name: str) -> RequestId:
    return request_id(THREAD, CHAT, _TEXT, name)


def request_document(name: str, at: object) -> dict[str, object]:
    """A request that is processed like every other up to the send job, which ends it as `diagnosed`."""
    return {
        "threadId": THREAD,
        "accountId": ACCOUNT,
        "chatId": CHAT,
        "to": CHAT,
        "text": _TEXT,
        "clientMessageId": name,
        "createdByUid": ACCOUNT,
        "createdByEmail": None,
        "createdAt": at,
        "status": "queued",
    }


def _key(name: str) -> WaMessageKey:
    return WaMessageKey(f"doctor-{name}")
