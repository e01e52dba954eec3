import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.services import Services
from backend.stores import Stored, Stores, stored_as
from backend.threads import Threads
from core import schema
from core.ids import ChatId, ThreadId
from core.thread import Thread
from tests.backend.interrupted import InterruptedStores
from tests.backend.world import World, key_of
from tests.waiting import wait_until

GROUP = ChatId("120363000000000001@g.us")


def test_a_contacts_message_becomes_a_message_and_a_thread(world: World) -> None:
    chat = world.chat(thread=False)
    event = world.receive(chat, "Is it still available?", "A1-in")
    world.trigger_ingest(event)

    message = world.message(chat, "A1-in")
    assert (message["direction"], message["text"]) == ("in", "Is it still available?")
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (1, "Is it still available?")
    assert (thread["clientDisplayName"], thread["clientPhoneE164"]) == ("Ana", f"+{chat.split('@')[0]}")
    row = world.row(event)
    assert (row["processed"], row["lastProcessError"]) == (True, None)
    assert row["expireAt"] - row["processedAt"] == timedelta(days=30)


def test_a_redelivered_event_changes_nothing(world: World, another_process: Callable[[], Services]) -> None:
    chat = world.chat()
    event = world.receive(chat, "one")
    stored = stored_as(world.db.collection(schema.INGEST).document(event).get(), dict)
    other_process = another_process().ingest
    for ingest in (world.services.ingest, world.services.ingest, other_process):
        ingest.take(stored.id, stored.value, stored.update_time)
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_an_event_delivered_to_many_workers_at_once_counts_once(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat = world.chat(thread=False)
    event = world.receive(chat, "one")
    stored = stored_as(world.db.collection(schema.INGEST).document(event).get(), dict)
    workers = [another_process().ingest for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(worker.take, stored.id, stored.value, stored.update_time) for worker in workers * 2]
        for job in jobs:
            job.result()
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_a_message_under_a_second_row_is_the_same_message(world: World) -> None:
    """The row of a message that stands already (its trigger was late, a drain took it up) is processed without a second count."""
    chat = world.chat()
    event = world.receive(chat, "one", "A1-in")
    world.trigger_ingest(event)
    world.db.collection(schema.INGEST).document(event).update({"processed": False})
    world.trigger_ingest(event)
    assert world.row(event)["processed"] is True
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_a_burst_in_one_chat_over_two_processes_is_counted_exactly_and_shows_the_last(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat = world.chat(thread=False)
    start = datetime.now(UTC).replace(microsecond=0)
    events = [world.receive(chat, f"m{n}", at=start + timedelta(seconds=n // 7)) for n in range(60)]
    processes = [world.services.ingest, another_process().ingest]
    with ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(world.trigger_ingest, event, processes[n % 2]) for n, event in enumerate(events)]
        for job in jobs:
            job.result()
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (60, "m59")
    assert all(world.row(event)["processed"] for event in events)


class ReadsTogether(Stores):
    """Two workers that both read the thread before either of them commits."""

    def __init__(self, stores: Stores, both_have_read: threading.Barrier) -> None:
        super().__init__(stores.db)
        self._both_have_read = both_have_read

    def thread(self, thread_id: ThreadId) -> Stored[Thread] | None:
        read = super().thread(thread_id)
        self._both_have_read.wait(timeout=10)
        return read


@pytest.mark.parametrize("stands", [True, False], ids=["thread stands", "first messages"])
def test_two_messages_that_read_the_same_thread_are_both_counted(
    world: World, another_process: Callable[[], Services], stands: bool
) -> None:
    chat = world.chat(thread=stands)
    events = [world.receive(chat, "one"), world.receive(chat, "two")]
    both_have_read = threading.Barrier(2)
    workers = [
        replace(process.ingest, threads=Threads(stores=ReadsTogether(process.stores, both_have_read)))
        for process in (another_process(), another_process())
    ]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(world.trigger_ingest, *pair) for pair in zip(events, workers, strict=True)]
        for job in jobs:
            job.result()
    assert world.thread(chat)["unreadCountGlobal"] == 2


def test_an_older_reply_typed_on_the_phone_leaves_a_question_unread_that_came_after_the_newest(
    world: World, another_process: Callable[[], Services]
) -> None:
    """The question is stored while the older reply is taken up: its worker has read the thread without it."""
    chat, now = world.chat(), datetime.now(UTC)
    key = "ACTYPED000000000000001"
    world.trigger_ingest(world.receive(chat, "newest", key="ACTYPED000000000000002", at=now, payload={"fromMe": True}))
    older = world.receive(chat, "older", key=key, at=now - timedelta(minutes=1), payload={"fromMe": True})
    arrives = world.receive(chat, "a question", at=now)
    slow = another_process()
    waits = InterruptedStores(slow.stores, lambda: world.trigger_ingest(arrives))
    world.trigger_ingest(older, replace(slow.ingest, stores=waits, threads=Threads(stores=waits)))
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_a_late_message_never_moves_the_preview_backward(world: World) -> None:
    chat = world.chat()
    now = datetime.now(UTC)
    world.trigger_ingest(world.receive(chat, "new", at=now))
    world.trigger_ingest(world.receive(chat, "late", at=now - timedelta(hours=1)))
    thread = world.thread(chat)
    assert (thread["lastMessagePreview"], thread["lastMessageAt"], thread["unreadCountGlobal"]) == ("new", now, 2)


@pytest.mark.parametrize("order", [["delivered", "read"], ["read", "delivered"]])
def test_delivery_only_moves_forward_in_whatever_order_receipts_come(world: World, order: list[str]) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.send_job(chat)
    for value in order:
        world.trigger_ingest(world.receipt(chat, key_of(request), value))
    assert world.message(chat, key_of(request))["delivery"] == "read"


def test_a_receipt_that_comes_before_its_message_waits_for_it(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "TYPED1", "read")
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(world.trigger_ingest, event)
        wait_until(lambda: world.services.ingest.chats._chats, "the receipt is being taken")
        world.trigger_ingest(world.receive(chat, "typed", "TYPED1", payload={"fromMe": True}))
        early.result()
    assert world.message(chat, "TYPED1")["delivery"] == "read"
    assert world.row(event)["processed"] is True


def test_a_receipt_whose_message_stays_away_is_left_to_the_sweeper_and_says_why(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "TYPED2", "delivered")
    world.trigger_ingest(event)
    row = world.row(event)
    assert (row["processed"], row["processAttempts"]) == (False, 1)
    assert row["lastProcessError"].startswith("message_missing: ")

    world.trigger_ingest(world.receive(chat, "typed", "TYPED2", payload={"fromMe": True}))
    world.services.ingest.drain(world.account, chat)
    assert world.message(chat, "TYPED2")["delivery"] == "delivered"


def test_a_receipt_gives_up_after_its_day(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "NEVER", "delivered")
    old = datetime.now(UTC) - timedelta(days=2)
    world.db.collection(schema.INGEST).document(event).update({"receivedAt": old})
    world.trigger_ingest(event)
    row = world.row(event)
    assert row["processed"] is True
    assert row["lastProcessError"].startswith("message_missing: ")
    assert row["expireAt"] > row["processedAt"]
    assert world.alerts() == []


def test_an_echo_of_our_send_meets_our_message(world: World) -> None:
    chat = world.chat()
    request = world.write(chat, "hello")
    world.accept(request)
    world.trigger_ingest(world.receive(chat, "hello", key_of(request), payload={"fromMe": True}))
    message = world.message(chat, key_of(request))
    assert (message["delivery"], message["senderUid"]) == ("sent", "uid-1")


def test_a_contact_that_reuses_an_id_of_ours_neither_overwrites_nor_suppresses(world: World) -> None:
    chat = world.chat()
    request = world.write(chat, "our words")
    world.accept(request)
    world.trigger_ingest(world.receive(chat, "their words", f"{key_of(request)}-in"))
    assert world.message(chat, key_of(request))["text"] == "our words"
    assert world.message(chat, f"{key_of(request)}-in")["text"] == "their words"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"eventType": "call"}, "event_type_unknown: "),
        ({"payload": {"kind": "hologram"}}, "event_type_unknown: "),
        ({"payload": {"kind": ""}}, "invalid_event: payload.kind"),
        ({"payload": {"text": None}}, "invalid_event: payload.text"),
        ({"timestamp": "yesterday"}, "invalid_event: timestamp"),
        ({"receivedAt": 5}, "invalid_event: receivedAt"),
        ({"waMessageKey": "another"}, "invalid_event: the row's id"),
    ],
)
def test_a_row_that_cannot_be_understood_is_kept_marked_and_alerted_once(
    world: World, changes: dict[str, Any], error: str
) -> None:
    chat = world.chat()
    event = world.receive(chat, "x", **changes)
    for _ in range(2):
        world.trigger_ingest(event)
    row = world.row(event)
    assert row["processed"] is True
    assert row["lastProcessError"].startswith(error)
    assert row["expireAt"] - row["processedAt"] == timedelta(days=365)
    (alert,) = world.alerts()
    assert alert["type"] == error.split(":")[0]
    assert alert["meta"]["whatToDo"]


def test_texts_that_no_commit_could_carry_together_are_taken_up_in_several(world: World) -> None:
    chat = world.chat()
    for n in range(30):
        world.receive(chat, f"{n}" + "€" * 65_000)
    drained = world.services.ingest.drain(world.account, chat)
    assert (drained.early, drained.is_finished, drained.done) == (frozenset(), True, 30)
    assert world.thread(chat)["unreadCountGlobal"] == 30


def test_a_receipt_whose_target_makes_an_id_too_long_is_marked_and_does_not_disturb_its_chat(world: World) -> None:
    chat = world.chat()
    target = "T" * 1480
    payload = {"target": target, "delivery": "read"}
    event = world.receive(chat, "", "long-receipt-read", eventType="receipt", payload=payload)
    good = world.receive(chat, "good")
    drained = world.services.ingest.drain(world.account, chat)
    assert (drained.early, drained.is_finished, drained.done) == (frozenset(), True, 2)
    assert world.row(event)["lastProcessError"].startswith("invalid_event: ")
    assert world.row(good)["lastProcessError"] is None


def test_many_rows_of_an_unknown_kind_are_one_cause_for_one_alert_that_counts(world: World) -> None:
    chat = world.chat()
    for _ in range(3):
        world.trigger_ingest(world.receive(chat, "", payload={"kind": "hologram", "text": None}))
    (alert,) = world.alerts()
    assert (alert["type"], alert["count"]) == ("event_type_unknown", 3)
    assert alert["meta"]["document"].startswith("whatsapp_ingest/")


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        ({"kind": "image", "text": None, "media": {"mime": "image/jpeg", "mediaKey": b"key"}}, "Photo"),
        ({"kind": "voice", "text": None, "media": {"durationSec": 14}}, "Voice message, 0:14"),
        ({"kind": "location", "text": None, "location": {"latitude": 44.4, "longitude": 26.1}}, "Location"),
        ({"kind": "viewOnce", "text": None}, "View-once message: open it on the phone"),
        ({"kind": "call", "text": None}, "Call"),
    ],
)
def test_content_without_text_is_a_message_that_is_unread_and_shown(
    world: World, payload: dict[str, Any], line: str
) -> None:
    chat = world.chat()
    event = world.receive(chat, "", payload=payload)
    world.trigger_ingest(event)
    message, thread = world.message(chat, world.row(event)["waMessageKey"]), world.thread(chat)
    assert (message["kind"], message["text"], message["direction"]) == (payload["kind"], None, "in")
    assert "mediaKey" not in message.get("media", {})
    assert (thread["lastMessagePreview"], thread["unreadCountGlobal"]) == (line, 1)
    assert thread["contactWroteAt"] == message["timestamp"]
    assert world.row(event)["lastProcessError"] is None
    assert world.alerts() == []


def test_kinds_that_nobody_knows_are_shown_kept_for_a_year_and_told_once(world: World) -> None:
    chat = world.chat()
    payload = {"kind": "unsupported", "text": None, "unsupportedType": "futureMessage", "wire": b"wire"}
    events = [world.receive(chat, "", payload=payload) for _ in range(3)]
    world.trigger_ingest(events[0])
    world.services.ingest.drain(world.account, chat)
    assert world.thread(chat)["unreadCountGlobal"] == 3
    assert world.thread(chat)["lastMessagePreview"] == "Unsupported message (futureMessage)"
    for event in events:
        row = world.row(event)
        assert (row["payload"]["wire"], row["expireAt"] - row["processedAt"]) == (b"wire", timedelta(days=365))
    (alert,) = world.alerts()
    assert (alert["type"], alert["severity"]) == ("unsupported_kind", "warning")
    assert alert["count"] == 2, "a commit counts once"


def test_a_group_has_its_name_and_its_messages_name_who_wrote(world: World) -> None:
    chat = GROUP
    for name, sender in (("Ana", "900000000000001@lid"), ("Ion", "900000000000002@lid")):
        payload = {"pushName": name, "senderChatId": sender, "chatName": "Customers"}
        world.trigger_ingest(world.receive(chat, f"from {name}", f"3A01-{name}-in", payload=payload))
    thread = world.thread(chat)
    assert (thread["kind"], thread["clientDisplayName"], thread["clientPhoneE164"]) == ("group", "Customers", None)
    assert (thread["lastMessagePreview"], thread["unreadCountGlobal"]) == ("from Ion", 2)
    message = world.message(chat, "3A01-Ana-in")
    assert (message["senderName"], message["senderChatId"]) == ("Ana", "900000000000001@lid")
    world.trigger_ingest(world.receive(chat, "again", payload={"pushName": "Ana", "chatName": None}))
    assert world.thread(chat)["clientDisplayName"] == "Customers"


def test_a_poisoned_row_does_not_disturb_its_chat(world: World) -> None:
    chat = world.chat()
    poison = world.receive(chat, "x", payload={"text": 7})
    good = world.receive(chat, "good")
    drained = world.services.ingest.drain(world.account, chat)
    assert (drained.early, drained.is_finished, drained.done) == (frozenset(), True, 2)
    assert world.row(poison)["lastProcessError"].startswith("invalid_event: ")
    assert world.row(good)["lastProcessError"] is None
    assert world.thread(chat)["lastMessagePreview"] == "good"


def test_a_row_corrected_after_its_refusal_is_taken_up_again(world: World) -> None:
    chat = world.chat()
    event = world.receive(chat, "x", "A9-in", payload={"text": 7})
    world.trigger_ingest(event)
    world.db.collection(schema.INGEST).document(event).update({"payload.text": "seven", "processed": False})
    world.services.ingest.drain(world.account, chat)
    assert world.message(chat, "A9-in")["text"] == "seven"
    assert world.row(event)["lastProcessError"] is None
