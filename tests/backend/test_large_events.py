"""Documents whose events are too large for Eventarc: no trigger is called, and the sweeper processes them."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from google.cloud.firestore import Client

from connector.arrival import ArrivalOrder
from connector.contract.engine_pb2 import Event, MessageReceived
from connector.events import wal_rows
from connector.reduction import fitting
from core import schema
from core.ids import AccountId, ChatId, RequestId, outbound_key, request_id, thread_id, wa_message_id
from core.thread import Thread, new_document
from local.processes import Processes
from local.production import world as production
from local.production.world import World
from tests.waiting import wait_until

_SCALE = 0.02
"""The sweeper looks at what is older than 1.2 s, each 1.2 s."""
_CHAT = ChatId("40712345678@s.whatsapp.net")
_NAMES = ("threadlineOnIngest", "threadlineOnOutbox", "threadlineSend", "threadlineSweep")


@pytest.fixture(scope="module")
def world(own_processes: Processes) -> World:
    started = production.start(own_processes, names=_NAMES, workers=0, gates=False, time_scale=_SCALE)
    production.start_scheduler(started, interval_s=60.0, time_scale=_SCALE)
    return started


@pytest.fixture
def db(world: World) -> Iterator[Client]:
    with closing(world.client()) as client:
        yield client


def document(db: Client, collection: str, name: str) -> dict[str, Any]:
    return db.collection(collection).document(name).get().to_dict() or {}


def test_a_contacts_text_that_no_event_carries_becomes_a_message(world: World, db: Client) -> None:
    account, text = AccountId(f"t-{uuid4().hex[:12]}"), "x" * 600_000
    message = MessageReceived(whatsapp_id="3EB0AA", chat_jid=_CHAT, timestamp_s=1_800_000_000, text=text)
    event, now = Event(message=message, wire=b"w" * 600_500, sequence=1), datetime.now(UTC)
    (row,) = map(fitting, wal_rows(account, event, ArrivalOrder(last_received_at=now), now))
    db.collection(schema.INGEST).document(row.event_id).create(row.document)

    wait_until(lambda: document(db, schema.INGEST, row.event_id)["processed"], "the row is taken up")
    counters = world.cloud.counters()
    assert (counters.get("too_large_threadlineOnIngest"), counters.get("invoked_threadlineOnIngest")) == (1, None)
    assert document(db, schema.MESSAGES, row.event_id)["text"] == text
    assert document(db, schema.THREADS, thread_id(account, _CHAT))["unreadCountGlobal"] == 1


def test_a_servers_request_of_nearly_a_mebibyte_is_refused_by_the_sweeper_and_holds_up_nothing_in_its_chat(
    world: World, db: Client
) -> None:
    """Clients cannot write such a request (tests/rules); a server key can."""
    account = AccountId(f"t-{uuid4().hex[:12]}")
    thread = thread_id(account, _CHAT)
    db.collection(schema.THREADS).document(thread).create(new_document(account, _CHAT, Thread(), datetime.now(UTC)))

    def written(text: str, **more: object) -> RequestId:
        name = request_id(thread, _CHAT, text, "m-1")
        fields = {
            "threadId": thread, "accountId": account, "chatId": _CHAT, "to": _CHAT, "text": text, "clientMessageId": "m-1",
            "createdByUid": "u", "createdByEmail": "u@example.com", "createdAt": datetime.now(UTC), "status": "queued",
        }  # fmt: skip
        db.collection(schema.OUTBOX).document(name).create(fields | more)
        return name

    huge = written("huge", note="x" * 1_040_000)
    wait_until(lambda: document(db, schema.OUTBOX, huge)["status"] == "failed", "it is refused")
    assert document(db, schema.OUTBOX, huge)["lastError"].startswith("invalid_request: ")
    assert world.cloud.counters()["too_large_threadlineOnOutbox"] == 1
    message = wa_message_id(thread, outbound_key(written("good")))
    wait_until(lambda: document(db, schema.MESSAGES, message), "the request after it is accepted")
