import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.ingest import Drained, Ingest
from backend.send_queue import Job, SendQueue
from backend.sweep import Sweep
from backend.sweep_requests import RequestSweep
from backend.sweep_rows import RowSweep
from core import inbound, schema
from core.ids import AccountId, ChatId, RequestId, ThreadId
from tests.backend.scripted_connector import Answer
from tests.backend.world import Document, World, key_of

OLD = timedelta(minutes=10)


def age(world: World, collection: str, name: str, field: str) -> None:
    world.db.collection(collection).document(name).update({field: datetime.now(UTC) - OLD})


def test_rows_whose_trigger_was_lost_are_taken_up(world: World) -> None:
    chat = world.chat(thread=False)
    events = [world.receive(chat, f"m{n}") for n in range(3)]
    for event in events:
        age(world, schema.INGEST, event, "receivedAt")
    swept = world.services.sweep.run()
    assert swept.chats >= 1
    assert all(world.row(event)["processed"] for event in events)
    assert world.thread(chat)["unreadCountGlobal"] == 3


def test_what_is_young_belongs_to_its_trigger(world: World) -> None:
    chat = world.chat()
    event, request = world.receive(chat, "x"), world.write(chat)
    world.services.sweep.run()
    assert world.row(event)["processed"] is False
    assert "attempts" not in world.request(request)


def test_a_poisoned_row_is_marked_and_does_not_hold_up_the_rows_behind_it(world: World) -> None:
    chat = world.chat()
    poison = world.receive(chat, "x", payload={"kind": "sticker"}, accountId="a/b")
    good = world.receive(chat, "good")
    for event in (poison, good):
        age(world, schema.INGEST, event, "receivedAt")
    world.services.sweep.run()
    assert world.row(poison)["lastProcessError"].startswith("invalid_event: ")
    assert world.row(good)["lastProcessError"] is None


def test_an_early_receipt_is_tried_again_and_goes_on_waiting(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "EARLY", "read")
    a_while_ago = datetime.now(UTC) - timedelta(seconds=15)
    world.db.collection(schema.INGEST).document(event).update({"receivedAt": a_while_ago})
    assert world.services.sweep.run().early >= 1
    assert world.row(event)["processed"] is False
    world.trigger_ingest(world.receive(chat, "typed", "EARLY", payload={"fromMe": True}))
    world.services.sweep.run()
    assert world.message(chat, "EARLY")["delivery"] == "read"


def test_a_request_that_bypassed_the_rules_and_lost_its_trigger_is_refused(world: World) -> None:
    chat = world.chat()
    bad, good = world.write(chat, threadId="a/b_c"), world.write(chat)
    for request in (bad, good):
        age(world, schema.OUTBOX, request, "createdAt")
    world.services.sweep.run()
    assert world.request(bad)["lastError"].startswith("invalid_request: ")
    world.wait_for(good, "sent")


def test_a_claim_whose_job_died_with_its_follow_up_is_made_good(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.hold_until(request, -1)
    age(world, schema.OUTBOX, request, "createdAt")
    world.services.sweep.run()
    world.wait_for(request, "sent")


def test_a_paused_accounts_queue_does_not_hide_the_others(world: World) -> None:
    """More requests than a page holds, all older than another account's only one."""
    paused = another(world)
    paused.pause()
    crowded = paused.chat()
    waiting: list[RequestId] = [paused.write(crowded, f"m{n}") for n in range(220)]
    for request in waiting:
        age(paused, schema.OUTBOX, request, "createdAt")
    request = world.write(world.chat())
    reference = world.db.collection(schema.OUTBOX).document(request)
    reference.update({"createdAt": datetime.now(UTC) - OLD / 2})
    world.services.sweep.run()
    world.wait_for(request, "sent")
    assert world.connector.keys(world.account) == [key_of(request)]
    for left in waiting:
        paused.db.collection(schema.OUTBOX).document(left).delete()


def another(world: World) -> World:
    """Another account beside the test's own."""
    made = World(
        db=world.db,
        settings=world.settings,
        services=world.services,
        connector=world.connector,
        tasks=world.tasks,
        endpoint=world.endpoint,
    )
    made.connect()
    return made


def crowd(world: World, count: int, row: Callable[[int], tuple[str, Document]]) -> None:
    """Writes many rows of the ingest log at once; `row` says the id's last part and the fields of each."""
    batch = world.db.batch()
    for n in range(count):
        event, fields = row(n)
        batch.create(world.db.collection(schema.INGEST).document(event), fields)
        if n % 400 == 399:
            batch.commit()
            batch = world.db.batch()
    batch.commit()


def rows_of(
    world: World, chat: ChatId, at: datetime, *, event_type: str = "receipt"
) -> Callable[[int], tuple[str, Document]]:
    """Receipts whose message never comes, or messages, a millisecond after one another."""

    def row(n: int) -> tuple[str, Document]:
        key = f"{n:05}-receipt-read" if event_type == "receipt" else f"{n:05}-in"
        received_at = at + timedelta(milliseconds=n)
        payload = {"target": f"{n:05}", "delivery": "read"} | {"kind": "text", "text": "x", "fromMe": False}
        return f"{world.account}_{chat}_{key}", {
            "accountId": world.account,
            "chatId": chat,
            "eventType": event_type,
            "waMessageKey": key,
            "payload": payload,
            "timestamp": received_at,
            "receivedAt": received_at,
            "processed": False,
            "processedAt": None,
            "processAttempts": 0,
            "lastProcessError": None,
        }

    return row


def sweeping(world: World, ingest: Any) -> Sweep:
    """The sweep, with something in the place of what takes rows up."""
    return replace(world.services.sweep, rows=RowSweep(world.services.stores, world.settings.timing, ingest))


def remove(world: World, collection: str) -> None:
    documents = world.db.collection(collection).where(filter=FieldFilter("accountId", "==", world.account)).stream()
    for document in documents:
        document.reference.delete()


def test_one_accounts_many_rows_do_not_hide_anothers_only_one(world: World) -> None:
    """More than a page, older, and in a chat that cannot be drained at all; whichever of the two accounts comes first by its id."""
    neighbours = [another(world) for _ in range(4)]
    at = datetime.now(UTC) - OLD
    crowd(world, 500, rows_of(world, ChatId("40700000001@s.whatsapp.net"), at - OLD, event_type="message"))
    events = [neighbour.receive(neighbour.chat(), "only", receivedAt=at) for neighbour in neighbours]
    swept = sweeping(world, Refusing(world.services.ingest, world.account)).run()
    remove(world, schema.INGEST)
    assert swept.failed >= 1
    assert all(neighbour.row(event)["processed"] for neighbour, event in zip(neighbours, events, strict=True))


def test_a_chat_that_has_much_waits_for_its_next_turn_until_the_others_had_theirs(world: World) -> None:
    at = datetime.now(UTC) - OLD
    much = world.chat()
    crowd(world, 450, rows_of(world, much, at - OLD, event_type="message"))
    neighbour = another(world)
    event = neighbour.receive(neighbour.chat(), "only", receivedAt=at)
    order: list[str] = []
    sweeping(world, Noting(world.services.ingest, order)).run()
    mine = [account for account in order if account in (world.account, neighbour.account)]
    assert mine[:2] == [world.account, neighbour.account]
    assert mine.count(world.account) == 3
    assert neighbour.row(event)["processed"] is True
    assert world.thread(much)["unreadCountGlobal"] == 450


def test_receipts_that_wait_for_long_stand_apart_and_hide_nothing(world: World) -> None:
    at = datetime.now(UTC) - OLD
    crowd(world, 250, rows_of(world, ChatId("40700000001@s.whatsapp.net"), at - OLD))
    event = world.receive(world.chat(), "behind them", receivedAt=at)
    parked = 0
    for _ in range(4):  # one run is enough, where the machine is not busy
        parked += world.services.sweep.run().parked
        if parked == 250:
            break
    is_taken_up = world.row(event)["processed"]
    waiting = world.db.collection(schema.INGEST).where(filter=FieldFilter("accountId", "==", world.account))
    states = Counter(row.get("processed") for row in waiting.stream())
    remove(world, schema.INGEST)
    assert (parked, is_taken_up) == (250, True)
    assert states == {None: 250, True: 1}
    assert world.alerts() == []


def test_a_receipt_that_stands_apart_moves_its_message_when_that_comes_after_all(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "LATE", "read")
    age(world, schema.INGEST, event, "receivedAt")
    assert world.services.sweep.run().parked >= 1
    assert world.row(event)["processed"] is None
    world.trigger_ingest(world.receive(chat, "typed", "LATE", payload={"fromMe": True}))
    assert world.services.sweep.run().found >= 1
    assert world.row(event)["processed"] is True
    assert world.message(chat, "LATE")["delivery"] == "read"


def test_a_receipt_that_stands_apart_is_given_up_after_a_day(world: World) -> None:
    event = world.receipt(world.chat(), "NEVER", "read")
    age(world, schema.INGEST, event, "receivedAt")
    world.services.sweep.run()
    a_day = timedelta(hours=2.5)
    world.db.collection(schema.INGEST).document(event).update({"receivedAt": datetime.now(UTC) - a_day})
    world.services.sweep.run()
    given_up = world.row(event)
    assert given_up["processed"] is True
    assert given_up["lastProcessError"].startswith("message_missing: ")
    assert given_up["expireAt"] > datetime.now(UTC)


def test_a_row_that_nothing_can_mark_holds_up_none_behind_it(world: World) -> None:
    """Whatever it does to the sweep, also what nobody foresaw."""
    chat = world.chat()
    poison = world.receive(chat, "x", payload={"kind": "hologram"})
    behind = world.receive(world.chat(), "good")
    for event in (poison, behind):
        age(world, schema.INGEST, event, "receivedAt")
    swept = sweeping(world, Poisoned(world.services.ingest, poison)).run()
    assert swept.failed >= 1
    assert world.row(poison)["processed"] is False
    assert world.row(behind)["processed"] is True


def test_a_row_that_cannot_even_be_looked_at_holds_up_none_behind_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, behind = world.receive(world.chat(), "x"), world.receive(world.chat(), "good")
    for event in (poison, behind):
        age(world, schema.INGEST, event, "receivedAt")
    parse_row = inbound.parse_row

    def parse(row_id: str, document: Document) -> inbound.Row:
        if row_id == poison:
            raise RuntimeError("nobody has thought of this")
        return parse_row(row_id, document)

    with monkeypatch.context() as patched:
        patched.setattr(inbound, "parse_row", parse)
        assert world.services.sweep.run().failed >= 1
    assert world.row(behind)["processed"] is True
    world.services.sweep.run()
    assert world.row(poison)["processed"] is True


def test_a_part_that_fails_leaves_the_others_their_turn(world: World) -> None:
    request = world.write(world.chat())
    age(world, schema.OUTBOX, request, "createdAt")
    sweep = replace(
        world.services.sweep, rows=cast(Any, Broken()), codes=cast(Any, Broken()), owners=cast(Any, Broken())
    )
    swept = sweep.run()
    assert swept.failed >= 4
    world.wait_for(request, "sent")


@dataclass
class NotingQueue:
    """The queue, and which threads were given a job."""

    queue: SendQueue
    threads: list[ThreadId] = field(default_factory=list)

    def enqueue(self, job: Job, name: str) -> object:
        self.threads.append(job.thread_id)
        return self.queue.enqueue(job, name)


def noting(world: World) -> tuple[Sweep, NotingQueue]:
    """The sweep, and what it gives jobs to."""
    services, queue = world.services, NotingQueue(queue=world.services.queue)
    requests = RequestSweep(
        services.stores, services.send.timing, services.accept, cast(SendQueue, queue), services.send.expiry
    )
    return replace(services.sweep, requests=requests), queue


def test_a_queue_that_waits_for_its_account_costs_no_job(world: World) -> None:
    chat = world.chat()
    request, thread = world.write(chat), world.thread_id(chat)
    world.pause()
    age(world, schema.OUTBOX, request, "createdAt")
    sweep, queue = noting(world)
    assert sweep.run().resting >= 1
    assert queue.threads.count(thread) == 0
    world.connect()
    sweep.run()
    assert queue.threads.count(thread) == 1
    world.wait_for(request, "sent")


@pytest.mark.parametrize("is_in_doubt", [False, True])
def test_a_cold_message_gets_no_job_before_its_time(world: World, is_in_doubt: bool) -> None:
    chat, paced = world.chat(), world.chat()
    cold, turn = world.write(chat), world.write(paced)
    for request, reason in ((cold, "cold_locked"), (turn, "paced")):
        until = (datetime.now(UTC) + timedelta(hours=6)).isoformat()
        away = json.dumps({"outcome": "not_before", "reason": reason, "notBefore": until})
        world.connector.script(key_of(request), Answer(body=away, reaches_wire=False))
        world.accept(request)
        world.send_job(chat if request == cold else paced)
        age(world, schema.OUTBOX, request, "createdAt")
    assert world.request(cold)["lastError"].startswith("cold_locked: ")
    if is_in_doubt:
        doubt = {"status": "sending", "lastError": "outcome_unknown: an earlier attempt got no answer"}
        world.db.collection(schema.OUTBOX).document(cold).update(doubt)
    sweep, queue = noting(world)
    sweep.run()
    assert (world.thread_id(chat) in queue.threads, world.thread_id(paced) in queue.threads) == (False, True)
    world.db.collection(schema.OUTBOX).document(cold).update({"claimUntil": datetime.now(UTC)})
    sweep.run()
    assert world.thread_id(chat) in queue.threads
    world.wait_for(cold, "sent")


def showing_a_code(world: World, *, expires_in: timedelta, held: bool) -> None:
    account = world.db.collection(schema.ACCOUNTS).document(world.account)
    account.update({"status": "qr_ready"})
    code = {"qrCodeDataUrl": "data:image/png;base64,AA==", "pairingCode": None, "qrGeneratedAt": datetime.now(UTC)}
    expires_at = datetime.now(UTC) + expires_in
    account.collection("private").document("state").set({**code, "qrExpiresAt": expires_at, "authMeta": {"n": 1}})
    if not held:
        past = datetime.now(UTC) - timedelta(seconds=1)
        world.db.collection(schema.LEASES).document(world.account).update({"leaseUntil": past})


def shown(world: World) -> tuple[str, bool]:
    account = world.db.collection(schema.ACCOUNTS).document(world.account)
    status, private = account.get().get("status"), account.collection("private").document("state").get()
    return str(status), private.get("qrCodeDataUrl") is not None


def test_a_code_that_ran_out_while_nobody_owned_its_account_is_erased(world: World) -> None:
    showing_a_code(world, expires_in=-timedelta(seconds=1), held=False)
    assert world.services.sweep.run().codes >= 1
    assert shown(world) == ("needs_qr", False)
    account = world.db.collection(schema.ACCOUNTS).document(world.account)
    assert account.get().get("lastError").startswith("pairing_expired: ")
    assert account.collection("private").document("state").get().get("authMeta") == {"n": 1}


@pytest.mark.parametrize(("expires_in", "held"), [(timedelta(minutes=1), False), (-timedelta(seconds=1), True)])
def test_a_code_that_is_good_or_has_an_owner_is_left_alone(world: World, expires_in: timedelta, held: bool) -> None:
    showing_a_code(world, expires_in=expires_in, held=held)
    world.services.sweep.run()
    assert shown(world) == ("qr_ready", True)
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"status": "needs_qr"})


def test_each_run_says_in_one_line_what_it_did(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    swept = world.services.sweep.run()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if "sweep" in line]
    assert line["severity"] == "INFO"
    assert line["sweep"] == asdict(swept)


class Refusing:
    """No chat of one account can be drained."""

    def __init__(self, ingest: Ingest, account: AccountId) -> None:
        self.ingest = ingest
        self._account = account

    def drain(self, account: AccountId, chat: ChatId, commits: int) -> Drained:
        if account == self._account:
            raise TimeoutError
        return self.ingest.drain(account, chat, commits)

    def take(self, row_id: str, document: Document, update_time: datetime) -> None:
        self.ingest.take(row_id, document, update_time)


class Noting(Refusing):
    """Keeps the order in which accounts had their turns."""

    def __init__(self, ingest: Ingest, order: list[str]) -> None:
        super().__init__(ingest, AccountId(""))
        self._order = order

    def drain(self, account: AccountId, chat: ChatId, commits: int) -> Drained:
        self._order.append(account)
        return super().drain(account, chat, commits)


class Poisoned(Refusing):
    """One row cannot be taken, for a reason that nobody has thought of."""

    def __init__(self, ingest: Ingest, poison: str) -> None:
        super().__init__(ingest, AccountId(""))
        self._poison = poison

    def take(self, row_id: str, document: Document, update_time: datetime) -> None:
        if row_id == self._poison:
            raise RuntimeError("nobody has thought of this")
        super().take(row_id, document, update_time)


class Broken:
    def run(self, *_: object) -> Any:
        raise RuntimeError("nobody has thought of this")

    look_at_parked = run
