"""The measured size of a row's event is compared with the events of the real emulator."""

import base64
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from google.cloud.firestore import Client

from connector.arrival import ArrivalOrder
from connector.contract.engine_pb2 import Event, MessageReceived
from connector.event_size import CARRIED_BODY_BYTES, EVENT_LIMIT_BYTES, created_body_bytes
from connector.events import WalRow, wal_rows
from connector.reduction import fitting
from core import schema
from core.alert import Alert
from core.alert_types import ALERTS, AlertType
from core.ids import AccountId, ThreadId
from local import emulator, ports
from local.processes import Processes
from local.production.world import emulator_client
from local.project import PROJECT_ID, REGION
from tests.waiting import wait_until

_ACCOUNT = AccountId("a" * 64)
_JID = "40712345678@s.whatsapp.net"
_LONGEST_TEXT = 65_536
"""Characters, in WhatsApp's own apps."""
_AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
_ids = count()


@dataclass
class Events:
    """Firestore's, as they are before anybody has read them."""

    port: int
    bodies: dict[str, bytes] = field(default_factory=dict)
    """By the document's path."""


@contextmanager
def taking() -> Iterator[Events]:
    events = Events(port=ports.free_port())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            events.bodies[self.headers["ce-document"]] = base64.b64decode(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives
            """Nothing: the record is `bodies`."""

    server = ThreadingHTTPServer((ports.HOST, events.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield events
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def events(own_processes: Processes) -> Iterator[tuple[Events, Client]]:
    with taking() as taken:
        port = ports.free_port()
        emulator.start_firestore(own_processes, port, functions_port=taken.port)
        trigger = {
            "eventType": "google.cloud.firestore.document.v1.created",
            "database": "(default)",
            "namespace": "(default)",
            "document": {"value": f"{schema.INGEST}/{{eventId}}", "matchType": "PATH_PATTERN"},
        }
        address = (
            f"http://{ports.HOST}:{port}/emulator/v1/projects/{PROJECT_ID}/eventarcTrigger?eventarcTriggerId={REGION}-x"
        )
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(
            urllib.request.Request(address, data=json.dumps(trigger).encode(), headers=headers), timeout=30
        ).close()
        db = emulator_client(f"{ports.HOST}:{port}")
        yield taken, db
        db.close()


def row(text: str | None, *, wire: bytes = b"", unsupported: str = "", push_name: str = "Ana") -> WalRow:
    """As the connector makes it of an engine's event."""
    message = MessageReceived(
        whatsapp_id=f"3EB0{next(_ids):018}",
        chat_jid=_JID,
        push_name=push_name,
        timestamp_s=1_800_000_000,
        unsupported=unsupported,
    )
    if text is not None:
        message.text = text
    event = Event(message=message, wire=wire, sequence=1)
    (made,) = wal_rows(_ACCOUNT, event, ArrivalOrder(last_received_at=_AT), _AT)
    return made


def body_of(events: tuple[Events, Client], written: WalRow) -> bytes:
    """The event's body that comes of the row."""
    taken, db = events
    path = f"{schema.INGEST}/{written.event_id}"
    db.document(path).create(written.document)
    return wait_until(lambda: taken.bodies.get(path), "the event")


def counted(written: WalRow) -> int:
    return created_body_bytes(schema.INGEST, written.event_id, written.document)


@pytest.mark.parametrize(
    "written",
    [row("hello"), row("é🎉" * 1000, wire=b"\x00" * 5000), row(None, unsupported="imageMessage", wire=b"w" * 300_000)],
    ids=["small", "not ASCII", "another kind"],
)
def test_a_row_is_counted_as_its_event_is_encoded(events: tuple[Events, Client], written: WalRow) -> None:
    """The measured size is a little larger, since project and database can have longer names than here, and times more digits."""
    measured = len(body_of(events, written))
    assert measured <= counted(written) <= measured + 120


@pytest.mark.parametrize("text", ["x" * _LONGEST_TEXT, "🎉" * _LONGEST_TEXT], ids=["letters", "emoji"])
def test_the_longest_text_of_whatsapps_apps_comes_by_event_without_loss(
    events: tuple[Events, Client], text: str
) -> None:
    """The wire bytes contain the text a second time. They are left out if the event would be too large, and the row says so."""
    whole = row(text, wire=b"w" * (len(text.encode()) + 500))
    kept = fitting(whole)
    assert len(body_of(events, kept)) <= CARRIED_BODY_BYTES < EVENT_LIMIT_BYTES * 3 / 4
    payload = kept.document["payload"]
    assert payload["text"] == text
    if counted(whole) <= CARRIED_BODY_BYTES:
        assert kept == whole
    else:
        assert payload["wire"] is None
        assert payload["leftOut"]["wire"]["bytes"] == len(text.encode()) + 500


@pytest.mark.parametrize("over", [0, 1])
def test_the_boundary_is_a_byte_wide(events: tuple[Events, Client], over: int) -> None:
    filled = row("hello", wire=b"w" * 300_000)
    room = CARRIED_BODY_BYTES - counted(filled)
    at_it = row("hello", wire=b"w" * (300_000 + room + over))
    assert counted(at_it) == CARRIED_BODY_BYTES + over
    kept = fitting(at_it)
    assert (kept.document["payload"]["wire"] is None) == bool(over)
    assert kept.document["payload"]["text"] == "hello"
    assert len(body_of(events, kept)) <= CARRIED_BODY_BYTES


def test_a_text_that_no_event_carries_stays_whole_in_its_row() -> None:
    """No app of WhatsApp's writes such a text. The sweeper processes the row (tests/backend/test_large_events.py)."""
    text = "x" * 600_000
    assert fitting(row(text, wire=b"w" * 600_500)).document["payload"]["text"] == text


def test_what_the_functions_do_not_understand_keeps_its_wire_bytes() -> None:
    """A later version can read the message only from the wire bytes. The sweeper marks the row instead of the trigger."""
    whole = row(None, unsupported="documentMessage", wire=b"w" * 600_000)
    assert fitting(whole) == whole


def test_the_largest_request_that_the_rules_let_a_client_write_is_carried() -> None:
    """Text of 4,096 UTF-16 units, ids that make a document id of 1,500 bytes, the longest e-mail address that Firebase takes."""
    longest = "\u0939" * 4096
    ids = dict.fromkeys(("threadId", "accountId", "chatId", "to", "clientMessageId", "createdByUid"), "i" * 1500)
    fields = ids | {"text": longest, "createdByEmail": "e" * 320, "createdAt": _AT, "status": "queued", "attempts": 0}
    assert created_body_bytes(schema.OUTBOX, "r" * 1500, fields) <= CARRIED_BODY_BYTES


@pytest.mark.parametrize("code", ALERTS, ids=str)
def test_an_alerts_event_is_carried_with_what_it_was_before(code: AlertType) -> None:
    """Its messages are the product's own words (docs/alerts.md); a change of it brings the document twice."""
    long = "l" * 1500
    alert = Alert(code=code, cause="c", message=long, account_id=_ACCOUNT, thread_id=ThreadId(long), about=long)
    fields = alert.document(_AT)
    assert 2 * created_body_bytes(schema.ALERTS, alert.alert_id, fields) <= CARRIED_BODY_BYTES


def test_the_largest_names_stay_below_eventarcs_limit_with_the_events_attributes() -> None:
    attributes = 2 * 1500 + 1000  # ce-document and ce-subject hold the document's path; the others are short
    assert CARRIED_BODY_BYTES * 4 / 3 + attributes <= EVENT_LIMIT_BYTES
