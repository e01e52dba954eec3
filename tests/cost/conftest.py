"""One account with one contact's chat, in a world that counts what Firestore is asked for."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from google.cloud.firestore import Client

from core import schema
from core.ids import AccountId
from local.faults.cast import Account, Cast, Chat, Request
from local.faults.stage import Stage
from local.processes import Processes
from local.production import world as production
from local.production.world import World
from tests.cost.meter import Measured, Meter
from tests.waiting import wait_until

_NO_RECEIPTS_S = 3600.0
"""The contact's phone says nothing by itself: receipts are measured apart."""
_ACCOUNT = Account(account_id=AccountId("cost"), phone="+40709000001")
_CHAT = Chat(index=1, account=_ACCOUNT, contact="+40809000001", reads=False, requests=0, inbound=0)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What is played, and what it cost, one event after the other: none of them meets another's work."""

    world: World
    db: Client
    app: Client
    meter: Meter

    def begin(self) -> None:
        self.world.network.change_settings(receipt_delay_s=_NO_RECEIPTS_S)
        Stage(db=self.db, network=self.world.network).prepare(Cast(accounts=[_ACCOUNT], chats=[_CHAT]))
        wait_until(
            lambda: self.world.cloud.counters().get("answered_threadlineFlush_200"), "the flush of a session that opens"
        )

    def receive(self, text: str) -> Measured:
        def is_done() -> bool:
            rows = self.db.collection(schema.INGEST).stream()
            documents = [row.to_dict() or {} for row in rows]
            return any(row["payload"].get("text") == text and row["processed"] for row in documents)

        return self.meter.measure(
            lambda: self.world.network.write(_CHAT.contact, _ACCOUNT.phone, text), is_done, f"{text!r} is taken up"
        )

    def send(self) -> tuple[Request, Measured]:
        chat = Chat(index=1, account=_ACCOUNT, contact=_CHAT.contact, reads=False, requests=1, inbound=0)
        cast = Cast(accounts=[_ACCOUNT], chats=[chat])
        (request,) = cast.all_requests()
        app = Stage(db=self.app, network=self.world.network)
        document = self.db.collection(schema.OUTBOX).document(request.request_id)

        def is_done() -> bool:
            return (document.get().to_dict() or {}).get("status") == "sent"

        return request, self.meter.measure(lambda: app.write(cast), is_done, "the request is sent")

    def get_receipt(self, request: Request) -> Measured:
        message = self.db.collection(schema.MESSAGES).document(f"{_CHAT.thread_id}_{request.key}")

        def is_done() -> bool:
            return (message.get().to_dict() or {}).get("delivery") == "delivered"

        return self.meter.measure(
            lambda: self.world.network.send_receipt(_CHAT.contact, _ACCOUNT.phone, [request.key], "delivered"),
            is_done,
            "the message is delivered",
        )


@pytest.fixture(scope="session")
def measured() -> Iterator[dict[str, Measured]]:
    """What each flow cost when it met no other."""
    names = [name for name in production.MESSAGE_PATH if name != "threadlineSweep"]
    with Processes(purpose="test", ends_with_parent=False) as processes:
        world = production.start(processes, names=names, gates=False, counted=True)
        with closing(world.client()) as db, closing(world.counted_client()) as app:
            conversation = Conversation(world=world, db=db, app=app, meter=Meter(world=world))
            conversation.begin()
            bills = {
                "inbound, the chat's first": conversation.receive("first"),
                "inbound": conversation.receive("second"),
            }
            request, bills["outbound"] = conversation.send()
            bills["receipt"] = conversation.get_receipt(request)
            yield bills
