"""Unread, preview and last message as a person at the inbox needs them, whatever the order of triggers and commits."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from google.cloud.firestore import DELETE_FIELD
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.running import Running
from backend.send_queue import Job
from backend.services import Services
from backend.stores import Stored, Stores, stored_as
from backend.threads import Threads
from core import schema
from core.decision import DecidedBy, Decision
from core.ids import ChatId, RequestId, ThreadId, checked_request_id
from core.outbox import MAX_ATTEMPTS
from core.thread import Thread
from tests.backend.interrupted import InterruptedStores
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of

ANA = DecidedBy(uid="uid-1", email="ana@example.com")
ROOT = DecidedBy(uid="root", email="root@example.com")
S = timedelta(seconds=1)
QUESTION, PHONE, APP, READ = "question", "typed on the phone", "written in the app", "read on the phone"


@dataclass(frozen=True, kw_only=True)
class Said:
    """Who wrote when, in seconds."""

    by: str
    at: float


def start() -> datetime:
    """A whole second, a little ago."""
    return datetime.now(UTC).replace(microsecond=0) - 60 * S


def say(world: World, chat: ChatId, said: Said, began: datetime) -> Callable[[], None]:
    """Creates the document in Firestore. Returns its trigger, to be called later."""
    at, text = began + said.at * S, f"{said.by} at {said.at}"
    if said.by == APP:
        request = world.write(chat, text, createdAt=at)
        return lambda: world.accept(request)
    whole_second = at.replace(microsecond=0)
    if said.by == READ:
        event = world.receive(chat, "", f"read-{said.at}", at=whole_second, receivedAt=at, eventType="read")
        return lambda: world.trigger_ingest(event)
    typed: dict[str, Any] = {"payload": {"fromMe": True}, "key": f"TYPED{said.at}"} if said.by == PHONE else {}
    event = world.receive(chat, text, at=whole_second, receivedAt=at, **typed)
    return lambda: world.trigger_ingest(event)


TALKS: dict[str, tuple[list[Said], int]] = {
    "the phone shows the first of two questions": (
        [Said(by=QUESTION, at=0), Said(by=READ, at=5), Said(by=QUESTION, at=10)],
        1,
    ),
    "the phone shows a question in its second, after it": (
        [Said(by=QUESTION, at=5.1), Said(by=READ, at=5.5), Said(by=QUESTION, at=5.9)],
        1,
    ),
    "an answer, a question, and the phone shows both": (
        [Said(by=APP, at=1), Said(by=QUESTION, at=2), Said(by=READ, at=3)],
        0,
    ),
    "the phone shows a question, and an answer follows the next one": (
        [Said(by=QUESTION, at=0), Said(by=READ, at=1), Said(by=QUESTION, at=2), Said(by=PHONE, at=3)],
        0,
    ),
    "the phone answers the first of two questions": (
        [Said(by=QUESTION, at=0), Said(by=PHONE, at=5), Said(by=QUESTION, at=10)],
        1,
    ),
    "the app answers the first of two questions": (
        [Said(by=QUESTION, at=0), Said(by=APP, at=5), Said(by=QUESTION, at=10)],
        1,
    ),
    "a question in the second of the answer, after it": (
        [Said(by=QUESTION, at=0), Said(by=APP, at=5.5), Said(by=QUESTION, at=5.9)],
        1,
    ),
    "a question in the second of the answer, before it": (
        [Said(by=QUESTION, at=5.1), Said(by=APP, at=5.5), Said(by=QUESTION, at=0)],
        0,
    ),
    "two answers, a question between them and one after both": (
        [Said(by=PHONE, at=1), Said(by=QUESTION, at=2), Said(by=APP, at=3), Said(by=QUESTION, at=4)],
        1,
    ),
    "an answer to everything": ([Said(by=QUESTION, at=0), Said(by=QUESTION, at=1), Said(by=APP, at=2)], 0),
}


def newest(talk: list[Said]) -> str:
    last = max((said for said in talk if said.by != READ), key=lambda said: said.at)
    return f"{last.by} at {last.at}"


@pytest.mark.parametrize("name", TALKS)
def test_whatever_order_triggers_come_in_the_unanswered_questions_are_unread(world: World, name: str) -> None:
    talk, unread = TALKS[name]
    for order in permutations(range(len(talk))):
        chat, began = world.chat(), start()
        triggers = [say(world, chat, said, began) for said in talk]
        for place in order:
            triggers[place]()
            triggers[place]()  # each comes twice
        thread = world.thread(chat)
        assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (unread, newest(talk)), order


@pytest.mark.parametrize("name", TALKS)
def test_rows_that_are_drained_together_leave_the_unanswered_questions_unread(world: World, name: str) -> None:
    """Every trigger of the ingest log was lost; the app's came first."""
    talk, unread = TALKS[name]
    chat, began = world.chat(), start()
    triggers = [(said, say(world, chat, said, began)) for said in talk]
    for said, trigger in triggers:
        if said.by == APP:
            trigger()
    world.services.ingest.drain(world.account, chat)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (unread, newest(talk))


def test_a_reply_from_the_phone_that_is_drained_with_a_newer_question_leaves_that_unread(world: World) -> None:
    """The phone was offline: its reply is received last. One commit creates all of it."""
    chat, began = world.chat(), start()
    for said in (Said(by=QUESTION, at=0), Said(by=QUESTION, at=10)):
        say(world, chat, said, began)
    typed: dict[str, Any] = {"key": "TYPED", "payload": {"fromMe": True}}
    world.receive(chat, "reply", at=began + 5 * S, receivedAt=began + 20 * S, **typed)
    world.services.ingest.drain(world.account, chat)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (1, "question at 10")


def test_workers_that_race_leave_the_unanswered_questions_unread(
    world: World, another_process: Callable[[], Services]
) -> None:
    """Answers and questions in turns, and the last word is the contact's, twice."""
    chat, began = world.chat(), start()
    talk = [Said(by=APP if n % 4 == 2 else QUESTION, at=n) for n in range(16)] + [Said(by=QUESTION, at=16)]
    processes = [world.services, another_process()]
    events, requests = [], []
    for said in talk:
        at, text = began + said.at * S, f"{said.by} at {said.at}"
        if said.by == APP:
            requests.append(world.write(chat, text, createdAt=at))
        else:
            events.append(world.receive(chat, text, at=at, receivedAt=at))
    with ThreadPoolExecutor(8) as pool:
        jobs: list[Future[Any]] = [
            pool.submit(world.trigger_ingest, event, processes[n % 2].ingest) for n, event in enumerate(events)
        ]
        for n, request in enumerate(requests):
            stored = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
            jobs.append(pool.submit(processes[n % 2].accept.new_request, stored))
        for job in jobs:
            job.result()
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (2, newest(talk))


def test_a_question_that_comes_while_a_late_reply_is_counted_is_unread(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat, began = world.chat(), start()
    say(world, chat, Said(by=QUESTION, at=10), began)()
    reply = world.write(chat, "late", createdAt=began + 5 * S)
    arrives = say(world, chat, Said(by=QUESTION, at=11), began)
    slow = another_process()
    stores = InterruptedStores(slow.stores, arrives)
    stored = stored_as(world.db.collection(schema.OUTBOX).document(reply).get(), dict)
    replace(slow.accept, stores=stores).new_request(stored)
    assert world.thread(chat)["unreadCountGlobal"] == 2


# ---- replies that are not sent


def expire(world: World, chat: ChatId, request: RequestId) -> None:
    stored = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
    world.services.send.expiry.end(stored, datetime.now(UTC))


def cancel(world: World, chat: ChatId, request: RequestId) -> None:
    world.services.decisions.cancel(*checked_request_id(request), by=ANA)


def work_on(world: World, chat: ChatId, request: RequestId) -> None:
    """Connects the account again, and runs a send job, which ends the reply as failed. Another job may do so first."""
    world.connect()
    world.services.send.owners.forget(world.account)
    world.send_job(chat)
    world.wait_for(request, "failed")


def reject(world: World, chat: ChatId, request: RequestId) -> None:
    world.connector.script(key_of(request), Answer(outcome="rejected", reason="400", reaches_wire=False))
    work_on(world, chat, request)


def use_up_its_attempts(world: World, chat: ChatId, request: RequestId) -> None:
    world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    world.connector.script(key_of(request), Answer(outcome="not_sent", reaches_wire=False))
    work_on(world, chat, request)


def give_up(world: World, chat: ChatId, request: RequestId) -> None:
    """The reply's frame left, but no attempt got an answer."""
    world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    world.connector.script(key_of(request), Answer(outcome="unknown"))
    work_on(world, chat, request)


def mark_failed(world: World, chat: ChatId, request: RequestId) -> None:
    world.hold_until(request, -1)
    world.services.decisions.resolve(*checked_request_id(request), Decision.MARK_FAILED, by=ROOT)


def mark_failed_after_all_attempts(world: World, chat: ChatId, request: RequestId) -> None:
    give_up(world, chat, request)
    world.services.decisions.resolve(*checked_request_id(request), Decision.MARK_FAILED, by=ROOT)


def corrupt(world: World, chat: ChatId, request: RequestId) -> None:
    """A server key changes it after it was accepted, so that the next job refuses it."""
    world.db.collection(schema.OUTBOX).document(request).update({"to": "40700000000@s.whatsapp.net"})
    work_on(world, chat, request)


End = Callable[[World, ChatId, RequestId], None]
NOT_SENT: list[End] = [
    expire,
    cancel,
    reject,
    use_up_its_attempts,
    mark_failed,
    mark_failed_after_all_attempts,
    corrupt,
]
UNKNOWN: list[End] = [give_up]


def answer_while_away(world: World, chat: ChatId, text: str = "our answer") -> RequestId:
    """A reply that waits for its account."""
    world.pause()
    world.services.send.owners.forget(world.account)
    request = world.write(chat, text)
    world.accept(request)
    return request


@pytest.mark.parametrize("end", NOT_SENT + UNKNOWN)
def test_a_reply_that_was_not_sent_leaves_its_question_unanswered_and_says_so(world: World, end: End) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "one", at=start()))
    world.trigger_ingest(world.receive(chat, "two", at=start() + S))
    request = answer_while_away(world, chat)
    assert world.thread(chat)["unreadCountGlobal"] == 0
    end(world, chat, request)
    assert world.request(request)["status"] == "failed"
    assert world.message(chat, key_of(request))["delivery"] == "failed"
    thread = world.thread(chat)
    word = "Perhaps not sent" if end in UNKNOWN else "Not sent"
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (2, f"{word}: our answer")
    assert thread["lastMessageAt"] == world.request(request)["createdAt"]

    world.trigger_ingest(world.receive(chat, "three"))
    after = world.thread(chat)
    assert (after["unreadCountGlobal"], after["lastMessagePreview"]) == (3, "three")


@pytest.mark.parametrize("end", NOT_SENT + UNKNOWN)
def test_a_reply_that_was_not_sent_leaves_the_answer_before_it_and_the_newer_preview_alone(
    world: World, end: End
) -> None:
    chat, began = world.chat(), start()
    for said in (Said(by=QUESTION, at=0), Said(by=PHONE, at=5), Said(by=QUESTION, at=10)):
        say(world, chat, said, began)()
    request = answer_while_away(world, chat)
    world.trigger_ingest(world.receive(chat, "the newest"))
    assert world.thread(chat)["unreadCountGlobal"] == 1
    end(world, chat, request)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (2, "the newest")


@pytest.mark.parametrize("end", [expire, cancel, reject, give_up])
def test_of_two_replies_only_the_last_that_is_not_sent_makes_the_question_unread(world: World, end: End) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    first, second = answer_while_away(world, chat, "first"), answer_while_away(world, chat, "second")
    cancel(world, chat, second)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (0, "Not sent: second")
    end(world, chat, first)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (1, "Not sent: second")


def test_a_reply_that_was_not_sent_leaves_an_answer_alone_that_an_earlier_version_stored(world: World) -> None:
    chat, began = world.chat(), start()
    for said in (Said(by=QUESTION, at=0), Said(by=PHONE, at=5)):
        say(world, chat, said, began)()
    for stored in (
        world.db.collection(schema.MESSAGES).where(filter=FieldFilter("threadId", "==", world.thread_id(chat))).stream()
    ):
        stored.reference.update(dict.fromkeys(("writtenAt", "receivedAt"), DELETE_FIELD))
    fields = ("repliedAt", "replyReceivedAt", "contactReceivedAt", "lastMessageId")
    world.db.collection(schema.THREADS).document(world.thread_id(chat)).update(dict.fromkeys(fields, DELETE_FIELD))
    say(world, chat, Said(by=QUESTION, at=10), began)()
    request = answer_while_away(world, chat)
    cancel(world, chat, request)
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_a_question_that_comes_while_a_reply_is_taken_back_is_counted(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "one", at=start()))
    request = answer_while_away(world, chat)
    arrives = world.receive(chat, "two", at=start())
    slow = another_process()
    stores = InterruptedStores(slow.stores, lambda: world.trigger_ingest(arrives))
    decisions = replace(slow.decisions, replies=replace(slow.decisions.replies, stores=stores))
    decisions.cancel(*checked_request_id(request), by=ANA)
    assert world.thread(chat)["unreadCountGlobal"] == 2


class InterruptedCount(Stores):
    """Calls `then` once, between the query for the other replies and the commit."""

    def __init__(self, stores: Stores, then: Callable[[], object]) -> None:
        super().__init__(stores.db)
        self._then: Callable[[], object] | None = then

    def find(self, query: Any) -> list[Stored[dict[str, Any]]]:
        found = super().find(query)
        if self._then is not None:
            then, self._then = self._then, None
            then()
        return found


def cancel_slowly(world: World, request: RequestId, slow: Services, then: Callable[[], object]) -> None:
    replies = replace(slow.decisions.replies, stores=InterruptedCount(slow.stores, then))
    replace(slow.decisions, replies=replies).cancel(*checked_request_id(request), by=ANA)


def test_two_replies_that_are_taken_back_at_the_same_time_leave_the_question_unread(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    first, second = answer_while_away(world, chat, "first"), answer_while_away(world, chat, "second")
    cancel_slowly(world, second, another_process(), lambda: cancel(world, chat, first))
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_proof_of_a_reply_that_comes_while_a_newer_one_is_taken_back_answers_the_question(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    first = answer_while_away(world, chat, "first")
    give_up(world, chat, first)
    second = answer_while_away(world, chat, "second")
    cancel_slowly(world, second, another_process(), lambda: prove_by_receipt(world, chat, first))
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (0, "Not sent: second")


# ---- proof that comes after all


def prove_by_receipt(world: World, chat: ChatId, request: RequestId) -> None:
    world.trigger_ingest(world.receipt(chat, key_of(request), "delivered"))


def prove_by_receipt_in_a_drain(world: World, chat: ChatId, request: RequestId) -> None:
    world.receipt(chat, key_of(request), "read")
    world.services.ingest.drain(world.account, chat)


def prove_by_echo(world: World, chat: ChatId, request: RequestId) -> None:
    world.trigger_ingest(world.receive(chat, "our answer", key_of(request), payload={"fromMe": True}))


@pytest.mark.parametrize("prove", [prove_by_receipt, prove_by_receipt_in_a_drain, prove_by_echo])
def test_proof_that_a_reply_was_sent_after_all_makes_the_thread_right_again(world: World, prove: End) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    request = answer_while_away(world, chat)
    give_up(world, chat, request)
    assert world.thread(chat)["unreadCountGlobal"] == 1
    prove(world, chat, request)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (0, "our answer")
    assert world.request(request)["status"] == "sent"


@pytest.mark.parametrize("prove", [prove_by_receipt, prove_by_receipt_in_a_drain, prove_by_echo])
def test_late_proof_leaves_a_question_unread_that_came_after_the_reply(world: World, prove: End) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    request = answer_while_away(world, chat)
    give_up(world, chat, request)
    world.trigger_ingest(world.receive(chat, "another", at=datetime.now(UTC) + S))
    prove(world, chat, request)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (1, "another")


def test_a_super_admins_word_that_a_reply_was_sent_makes_the_thread_right_again(world: World) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    request = answer_while_away(world, chat)
    give_up(world, chat, request)
    tried_at = world.request(request)["lastTriedAt"]
    world.services.decisions.resolve(*checked_request_id(request), Decision.MARK_SENT, by=ROOT)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (0, "our answer")
    assert world.message(chat, key_of(request))["timestamp"] == tried_at


def test_a_reply_that_is_sent_again_answers_in_the_place_of_the_first_one(world: World) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    request = answer_while_away(world, chat)
    give_up(world, chat, request)
    answer = world.services.decisions.resolve(*checked_request_id(request), Decision.RESEND, by=ROOT)
    new = RequestId(str(answer["resentAs"]))
    world.accept(new)
    world.wait_for(new, "sent")
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (0, "our answer")


def test_a_lost_claims_proof_makes_the_thread_right_again(world: World) -> None:
    """The message is given up by another while its attempt still waits for the answer, which then says that it was sent."""
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=start()))
    request = world.write(chat, "our answer")
    world.accept(request)

    def expire_meanwhile() -> None:
        world.db.collection(schema.OUTBOX).document(request).update({"claimUntil": None})
        expire(world, chat, request)
        assert world.thread(chat)["unreadCountGlobal"] == 1

    world.connector.script(key_of(request), Answer(before=expire_meanwhile))
    world.send_job(chat)
    thread = world.thread(chat)
    assert world.request(request)["status"] == "sent"
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (0, "our answer")


# ---- when a message was sent


def test_a_reply_that_waited_stands_where_it_left_and_not_where_it_was_written(world: World) -> None:
    """Ten hours for its account, in which the contact wrote twice; what was written first still leaves first."""
    chat, written = world.chat(), datetime.now(UTC) - timedelta(hours=2)
    world.pause()
    world.services.send.owners.forget(world.account)
    first = world.write(chat, "first", createdAt=written)
    second = world.write(chat, "second", createdAt=written + S)
    for request in (second, first):
        world.accept(request)
    assert world.message(chat, key_of(first))["timestamp"] == written
    world.trigger_ingest(world.receive(chat, "meanwhile", at=written + timedelta(hours=1)))
    assert world.thread(chat)["lastMessagePreview"] == "meanwhile"

    world.connect()
    world.services.send.owners.forget(world.account)
    connected_at = datetime.now(UTC)
    world.send_job(chat)
    assert world.connector.keys(world.account) == [key_of(first), key_of(second)]
    left = [world.message(chat, key_of(request))["timestamp"] for request in (first, second)]
    assert connected_at <= left[0] <= left[1] <= datetime.now(UTC)
    thread = world.thread(chat)
    assert (thread["lastMessagePreview"], thread["lastMessageAt"]) == ("second", left[1])
    assert thread["unreadCountGlobal"] == 1  # it came after both were written
    assert world.message(chat, key_of(first))["writtenAt"] == written
    assert texts(world, chat) == ["meanwhile", "first", "second"]


def texts(world: World, chat: ChatId) -> list[str]:
    """A conversation as clients show it."""
    found = (
        world.db.collection(schema.MESSAGES).where(filter=FieldFilter("threadId", "==", world.thread_id(chat))).stream()
    )
    documents = [snapshot.to_dict() or {} for snapshot in found]
    return [document["text"] for document in sorted(documents, key=lambda document: document["timestamp"])]


@pytest.mark.parametrize("prove", [prove_by_receipt, prove_by_receipt_in_a_drain, prove_by_echo])
def test_what_a_receipt_proves_of_a_reply_that_waited_moves_it_too(world: World, prove: End) -> None:
    """The receipt is faster than the job that sent it."""
    chat, written = world.chat(), datetime.now(UTC) - timedelta(hours=2)
    world.pause()
    request = world.write(chat, "our answer", createdAt=written)
    world.accept(request)
    before = datetime.now(UTC)
    prove(world, chat, request)
    left = world.message(chat, key_of(request))["timestamp"]
    assert before <= left <= datetime.now(UTC)
    assert world.thread(chat)["lastMessageAt"] == left


def test_receipts_and_echoes_do_not_move_a_message_that_was_sent(world: World) -> None:
    chat = world.chat()
    request = world.write(chat, "our answer")
    world.accept(request)
    world.send_job(chat)
    world.wait_for(request, "sent")
    left = world.message(chat, key_of(request))["timestamp"]
    for prove in (prove_by_receipt, prove_by_echo, prove_by_receipt_in_a_drain):
        prove(world, chat, request)
    assert (world.message(chat, key_of(request))["timestamp"], world.message(chat, key_of(request))["delivery"]) == (
        left,
        "read",
    )


def test_late_proof_puts_a_message_where_its_last_attempt_was_made(world: World) -> None:
    """The contact was offline for a day: its receipt says when it was delivered, not when it was sent."""
    chat = world.chat()
    request = world.write(chat, "our answer")
    world.accept(request)
    give_up(world, chat, request)
    tried_at = world.request(request)["lastTriedAt"]
    following = world.write(chat, "following")
    world.accept(following)
    world.send_job(chat)
    world.wait_for(following, "sent")
    prove_by_receipt(world, chat, request)
    assert world.message(chat, key_of(request))["timestamp"] == tried_at
    assert texts(world, chat) == ["our answer", "following"]


class CountedThreads(Stores):
    """Counts the reads of threads, and the count queries and other queries."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.db)
        self.reads = 0

    def thread(self, thread_id: ThreadId) -> Stored[Thread] | None:
        self.reads += 1
        return super().thread(thread_id)

    def count(self, query: Any) -> int:
        self.reads += 1
        return super().count(query)


def test_a_reply_that_leaves_at_once_costs_no_look_at_its_thread(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    stores = CountedThreads(world.services.stores)
    replies = replace(world.services.send.replies, stores=stores)
    before = world.thread(chat)
    replace(world.services.send, replies=replies, running=Running()).run(_job(world, chat), is_retry=False)
    assert world.request(request)["status"] == "sent"
    assert (stores.reads, world.thread(chat)) == (0, before)


def _job(world: World, chat: ChatId) -> Job:
    return Job(thread_id=world.thread_id(chat))


# ---- attempts of rows


class Broken(Stores):
    """Functions that fail whenever they read a thread."""

    def thread(self, thread_id: ThreadId) -> Stored[Thread] | None:
        raise RuntimeError(f"broken at a thread of {len(thread_id)} characters")


def test_a_row_counts_each_attempt_also_those_whose_trigger_raised(world: World) -> None:
    chat = world.chat()
    event = world.receive(chat, "question")
    stores = Broken(world.services.stores.db)
    broken = replace(world.services.ingest, stores=stores, threads=Threads(stores=stores))
    for attempts in (1, 2, 3):
        with pytest.raises(RuntimeError):
            world.trigger_ingest(event, broken)
        row = world.row(event)
        assert (row["processed"], row["processAttempts"]) == (False, attempts)
        assert row["lastProcessError"].startswith("processing_failed: ")
    world.trigger_ingest(event)
    row = world.row(event)
    assert (row["processed"], row["processAttempts"], row["lastProcessError"]) == (True, 4, None)


@pytest.mark.parametrize("drained", [False, True])
def test_a_row_that_is_refused_counts_its_attempts(world: World, drained: bool) -> None:
    chat = world.chat()
    event = world.receive(chat, "x", payload={"text": 7}, processAttempts=2)
    if drained:
        world.services.ingest.drain(world.account, chat)
    else:
        world.trigger_ingest(event)
    assert world.row(event)["processAttempts"] == 3


def test_a_receipt_that_was_early_counts_the_attempt_that_found_its_message(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "TYPED", "delivered")
    world.trigger_ingest(event)
    world.trigger_ingest(world.receive(chat, "typed", "TYPED", payload={"fromMe": True}))
    world.services.ingest.drain(world.account, chat)
    assert (world.row(event)["processed"], world.row(event)["processAttempts"]) == (True, 2)
