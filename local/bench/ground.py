"""What is measured and what it is measured against: the product and the floor, each in a world of its own, given the same work."""

import itertools
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.cloud.firestore import Client

from core import ids, schema, thread
from core.ids import AccountId
from core.thread import Thread
from local import ports
from local.cloud_tasks.client import TaskServer
from local.control_client import ControlClient
from local.faults.cast import Account, Cast, Chat, Request
from local.faults.stage import Stage, outbox_document
from local.processes import Processes, printed
from local.production import world as production
from local.production.world import World
from local.project import PYTHONPATH

BARE = Path(__file__).resolve().parent / "bare"
CHATS = 20
_WRITERS = 20
_NO_RECEIPTS_S = 3600.0
_WAL_COMMIT_ROWS = 400
"""As many as the connector commits together."""
_PAGE = 400
_LIMIT_S = 90.0
_POLL_S = 0.1
_ACCOUNT = Account(account_id=AccountId("bench"), phone="+40709000002")
_CAST = Cast(
    accounts=[_ACCOUNT],
    chats=[
        Chat(index=1 + 3 * i, account=_ACCOUNT, contact=f"+408090001{i:02d}", reads=False, requests=0, inbound=0)
        for i in range(CHATS)
    ],
)


class BenchFailed(Exception):
    """What was asked for was not done in time, or not without an error."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A document of the ingest log that is to be written."""

    document_id: str
    fields: Mapping[str, object]


@dataclass(kw_only=True)
class Side:
    """The product or the floor."""

    name: str
    world: World
    db: Client
    sink: ControlClient | None
    """Where the floor's POSTs end; the product's messages end in the simulated network."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1), init=False)
    _events: int = field(default=0, init=False)
    """How many the emulator is to hand out for what was created: it may be some time behind."""

    @property
    def tasks(self) -> TaskServer:
        return self.world.tasks

    def begin(self) -> None:
        """Threads stand, the product's account is connected."""
        if self.world.connector is not None:
            self.world.network.change_settings(receipt_delay_s=_NO_RECEIPTS_S)
            Stage(db=self.db, network=self.world.network).prepare(_CAST)
        for chat in _CAST.chats:
            document = thread.new_document(
                chat.account.account_id, chat.chat_id, Thread(phone=chat.contact), datetime.now(UTC)
            )
            self.db.collection(schema.THREADS).document(chat.thread_id).set(document)

    # Out

    def create(self, chat: int) -> tuple[str, float]:
        """Creates a request as a client does: what its arrival on the wire is known by, and when its creation began."""
        self._events += 1
        return self._create(chat)

    def _create(self, chat: int) -> tuple[str, float]:
        request = self._request(chat)
        began = time.time()
        self.db.collection(schema.OUTBOX).document(request.request_id).create(outbox_document(request))
        return (request.request_id if self.sink else str(request.key)), began

    def create_many(self, count: int) -> tuple[set[str], float]:
        """Spread over the chats, in order within each. When the first one's creation began."""

        def fill(chat: int) -> list[tuple[str, float]]:
            return [self._create(chat) for _ in range(count // CHATS)]

        self._events += count // CHATS * CHATS
        with ThreadPoolExecutor(_WRITERS) as writers:
            created = [one for chat in writers.map(fill, range(CHATS)) for one in chat]
        return {name for name, _ in created}, min(at for _, at in created)

    def arrivals(self, wanted: Iterable[str]) -> dict[str, float]:
        """When each was first on the wire. Waits for all, and until nothing is under way."""
        names = set(wanted)
        deadline = time.monotonic() + _LIMIT_S
        while not names <= (arrived := self._arrived()).keys():
            if time.monotonic() > deadline:
                raise BenchFailed(f"{self.name}: {len(names - arrived.keys())} of {len(names)} never got to the wire")
            time.sleep(_POLL_S)
        self.calm()
        return {name: arrived[name] for name in names}

    def _arrived(self) -> dict[str, float]:
        if self.sink is not None:
            seen = [(row["id"], row["at"]) for row in self.sink.get("/arrived")]
        else:
            seen = [(frame.whatsapp_id, frame.recorded_at) for frame in self.world.network.frames()]
        first: dict[str, float] = {}
        for name, at in seen:
            first.setdefault(name, at)
        return first

    def _request(self, chat: int) -> Request:
        number = next(self._numbers)
        return Request(
            chat=_CAST.chats[chat], place=number, text=f"out {number}", client_message_id=f"b{number:07d}", uid="uid-1"
        )

    # In

    def rows(self, chats: Sequence[int]) -> list[Row]:
        """A contact's message for each of these chats, as the connector would write it now."""
        made, now = [], datetime.now(UTC)
        for place, index in enumerate(chats):
            chat, number = _CAST.chats[index], next(self._numbers)
            whatsapp_id = f"3A{number:018d}"
            received_at = now + timedelta(microseconds=place)
            payload = {
                "kind": "text",
                "text": f"in {number}",
                "fromMe": False,
                "pushName": "Ana",
                "whatsappId": whatsapp_id,
                "chatJid": chat.chat_id,
                "chatOtherJid": "",
                "timestampS": int(now.timestamp()),
                "wire": b"\n\x14" + b"x" * 20,
            }
            fields = {
                "accountId": chat.account.account_id,
                "chatId": chat.chat_id,
                "eventType": "message",
                "waMessageKey": f"{whatsapp_id}-in",
                "payload": payload,
                "receivedAt": received_at,
                "timestamp": received_at,
                "processed": False,
                "processedAt": None,
                "processAttempts": 0,
                "lastProcessError": None,
            }
            document_id = ids.event_id(chat.thread_id, ids.WaMessageKey(f"{whatsapp_id}-in"))
            made.append(Row(document_id=document_id, fields=fields))
        return made

    def commit(self, rows: Sequence[Row]) -> None:
        """As the connector commits to its log."""
        self._events += len(rows)
        for first in range(0, len(rows), _WAL_COMMIT_ROWS):
            batch = self.db.batch()
            for row in rows[first : first + _WAL_COMMIT_ROWS]:
                batch.create(self.db.collection(schema.INGEST).document(row.document_id), dict(row.fields))
            batch.commit()

    def taken_up(self, rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
        """When each row was committed, and when its message and thread were. Waits for all."""
        wanted = {row.document_id for row in rows}
        self.calm()
        deadline = time.monotonic() + _LIMIT_S
        while not wanted <= (stand := self._create_times(schema.MESSAGES)).keys():
            if time.monotonic() > deadline:
                raise BenchFailed(f"{self.name}: {len(wanted - stand.keys())} of {len(wanted)} rows were not taken up")
            time.sleep(_POLL_S)
        logged = self._create_times(schema.INGEST)
        return {name: (logged[name], stand[name]) for name in wanted}

    def _create_times(self, collection: str) -> dict[str, float]:
        found = self.db.collection(collection).select([]).stream()
        return {document.id: document.create_time.timestamp() for document in found if document.create_time is not None}

    # Between measurements

    def calm(self) -> None:
        """Returns when no event, task or invocation is under way."""
        deadline = time.monotonic() + _LIMIT_S
        while not self._is_calm():
            if time.monotonic() > deadline:
                raise BenchFailed(f"{self.name}: something is still under way after {_LIMIT_S:.0f} s")
            time.sleep(_POLL_S)

    def errors(self) -> int:
        """Invocations that did not end well, so far."""
        return sum(
            count
            for name, count in self.world.cloud.counters().items()
            if name.startswith("answered_") and not name.endswith(("_200", "_204"))
        )

    def clear(self) -> None:
        """Empties what grows: the emulator's queries take time for each document of a collection."""
        self.calm()
        for collection in (schema.OUTBOX, schema.INGEST, schema.MESSAGES):
            found = [document.reference for document in self.db.collection(collection).select([]).stream()]
            for first in range(0, len(found), _PAGE):
                batch = self.db.batch()
                for reference in found[first : first + _PAGE]:
                    batch.delete(reference)
                batch.commit()

    def _is_calm(self) -> bool:
        if self.tasks.tasks():
            return False
        counters = self.world.cloud.counters()
        invoked = sum(count for name, count in counters.items() if name.startswith("invoked_"))
        answered = sum(count for name, count in counters.items() if name.startswith("answered_"))
        return counters.get("events", 0) >= self._events and counters["under_way"] == 0 and invoked == answered


def start_product(processes: Processes) -> Side:
    world = production.start(processes, gates=False)
    side = Side(name="product", world=world, db=world.client(), sink=None)
    side.begin()
    return side


def start_floor(processes: Processes) -> Side:
    port = ports.free_port()
    processes.start(
        "sink",
        [sys.executable, "-m", "local.bench.sink", "--port", str(port)],
        environment={"PYTHONPATH": PYTHONPATH},
        ready=printed("ready "),
    )
    environment = {"SINK_URL": f"http://{ports.HOST}:{port}/wire"}
    world = production.start(processes, source=BARE, names=None, gates=False, workers=0, environment=environment)
    side = Side(name="floor", world=world, db=world.client(), sink=ControlClient(port))
    side.begin()
    return side
