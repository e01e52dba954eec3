"""Rows of the ingest log that are not understood, or not taken up."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions
from google.cloud.firestore import SERVER_TIMESTAMP, DocumentReference

from core import schema, thread
from core.alert_types import Condition
from core.errors import ErrorCode
from core.thread import Thread
from local.drills.case import Case
from local.drills.drill import Drill

_DOCUMENT_BYTES = 1_048_576
_STEP_BYTES = 20


def _put_row(case: Case, key: str, **payload: object) -> str:
    """As a connector writes it, but for the payload. The row's id."""
    chat = case.people.chat.chat_id
    now = datetime.now(UTC)
    event = f"{case.name}_{chat}_{key}"
    row: dict[str, Any] = {
        "accountId": case.name,
        "chatId": chat,
        "eventType": "message",
        "waMessageKey": key,
        "payload": {"kind": "text", "text": "poison", "fromMe": False, "pushName": "Ana"} | payload,
        "timestamp": now,
        "receivedAt": now,
        "processed": False,
        "processedAt": None,
        "processAttempts": 0,
        "lastProcessError": None,
    }
    case.ground.db.collection(schema.INGEST).document(event).create(row)
    return event


def _correct(case: Case, event: str, **payload: object) -> None:
    fields = {f"payload.{name}": value for name, value in payload.items()}
    case.ground.db.collection(schema.INGEST).document(event).update(fields)


def _fill(reference: DocumentReference, document: dict[str, object]) -> None:
    """With notes that leave no room for a preview."""
    for size in range(_DOCUMENT_BYTES, 0, -_STEP_BYTES):
        with suppress(exceptions.InvalidArgument):
            reference.create(document | {"notes": "x" * size})
            return


def invalid_event(case: Case) -> None:
    events: list[str] = []
    case.strike(
        "a row's fromMe was written as a text", lambda: events.append(_put_row(case, "POISON1-in", fromMe="no"))
    )
    case.alerts()
    case.stands()
    case.screens("account", "alerts")
    _correct(case, events[0], fromMe=False)
    case.mend(
        "the row was corrected, `replay EVENT_ID`", lambda: case.ground.admin.show(case.drill.name, "replay", events[0])
    )
    case.is_over(status="connected")
    case.await_row("POISON1-in")
    case.talks()


def event_type_unknown(case: Case) -> None:
    events: list[str] = []
    case.strike(
        "a row was of a kind that the functions do not know",
        lambda: events.append(_put_row(case, "POISON2-in", kind="hologram")),
    )
    case.alerts()
    case.stands()
    case.screens("alerts")
    _correct(case, events[0], kind="text")  # in the place of a deployment that knows the kind
    replay = ("replay", "--account", case.name)
    case.mend(
        "the row was corrected, `replay --account ACCOUNT`", lambda: case.ground.admin.show(case.drill.name, *replay)
    )
    case.is_over(status="connected")
    case.await_row("POISON2-in")
    case.talks()


def unsupported_kind(case: Case) -> None:
    case.strike(
        "a contact sent a message of a kind that nobody knows",
        lambda: _put_row(case, "FUTURE1-in", kind="unsupported", text=None, unsupportedType="futureMessage"),
    )
    case.alerts()
    case.stands()
    case.screens("alerts")
    case.await_row("FUTURE1-in")
    case.a_quiet_day_passes()
    case.talks()


def backlog_growing(case: Case) -> None:
    """The chat's thread is as large as a document may be, so the commit that takes a message up is refused each time."""
    chat = case.people.chat
    document = thread.new_document(chat.account.account_id, chat.chat_id, Thread(phone=chat.contact), datetime.now(UTC))
    reference = case.ground.db.collection(schema.THREADS).document(chat.thread_id)
    keys: list[str] = []

    def strike() -> None:
        _fill(reference, document)
        keys.append(case.write_in("x" * 200))

    case.strike(
        "a chat's thread had grown to the largest document, so that threadlineOnIngest failed for it each time", strike
    )
    case.alerts(limit_s=400.0)
    case.stands()
    case.screens("account", "alerts")
    case.mend("the thread was made smaller", lambda: reference.update({"notes": None, "updatedAt": SERVER_TIMESTAMP}))
    case.await_row(keys[0], limit_s=120.0)
    case.is_resolved()
    case.talks()


DRILLS = (
    Drill(
        name="invalid_event",
        cause="one event is not understood: a field is wrong",
        alert=ErrorCode.INVALID_EVENT,
        run=invalid_event,
    ),
    Drill(
        name="event_type_unknown",
        cause="one event is not understood: of a kind that is not known",
        alert=ErrorCode.EVENT_TYPE_UNKNOWN,
        run=event_type_unknown,
    ),
    Drill(
        name="unsupported_kind",
        cause="a contact sends what is not known",
        alert=Condition.UNSUPPORTED_KIND,
        run=unsupported_kind,
    ),
    Drill(
        name="backlog_growing",
        cause="received messages do not appear",
        alert=Condition.BACKLOG_GROWING,
        run=backlog_growing,
        is_long=True,
    ),
)
