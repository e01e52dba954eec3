"""What people do with a request: its creator takes it back, a super-admin decides about one whose end nobody knows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.accept import Acceptance
from backend.decisions import Decisions
from backend.refusal import Refused
from backend.send_queue import Job
from backend.services import Services
from backend.stores import Document, Stored, Stores, stored_as
from core import schema
from core.decision import DecidedBy, Decision, resent
from core.errors import ErrorCode
from core.ids import ChatId, RequestId, WaMessageId, checked_request_id
from core.message import StoredMessage
from core.outbox import MAX_ATTEMPTS, Request, parse_request
from tests.backend.interrupted import InterruptedMessage, InterruptedRequest
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of
from tests.waiting import wait_until

ANA = DecidedBy(uid="uid-1", email="ana@example.com")
ROOT = DecidedBy(uid="root", email="root@example.com")


def cancel(world: World, request: RequestId, by: DecidedBy = ANA, decisions: Decisions | None = None) -> None:
    (decisions or world.services.decisions).cancel(*checked_request_id(request), by=by)


def resolve(
    world: World, request: RequestId, decided: Decision, decisions: Decisions | None = None
) -> dict[str, object]:
    return (decisions or world.services.decisions).resolve(*checked_request_id(request), decided, by=ROOT)


def given_up(world: World, chat: ChatId) -> RequestId:
    """A request whose frame left, and whose attempts have all gone without an answer."""
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(outcome="unknown"))
    world.accept(request)
    world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    world.send_job(chat)
    failed = world.request(request)
    assert (failed["status"], "expireAt" in failed) == ("failed", False)
    return request


def left_sending(world: World, chat: ChatId) -> RequestId:
    """A request whose job died after its frame had left: its claim has ended."""
    request = world.write(chat)
    world.accept(request)
    world.hold_until(request, -1)
    return request


# ---- cancelling


def test_a_creator_takes_his_queued_message_back_and_it_never_leaves(world: World) -> None:
    chat = world.chat()
    request = world.write(chat, "Never mind.")
    born = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
    world.accept(request)
    cancel(world, request)
    cancelled, message = world.request(request), world.message(chat, key_of(request))
    assert (cancelled["status"], cancelled.get("attempts", 0)) == ("failed", 0)
    assert cancelled["lastError"].startswith("cancelled: ")
    assert cancelled["expireAt"] > datetime.now(UTC)
    assert (message["delivery"], message["error"]) == ("failed", cancelled["lastError"])
    assert world.thread(chat)["lastMessagePreview"] == "Not sent: Never mind."

    cancel(world, request)
    assert world.services.accept.new_request(born) is Acceptance.ENDED
    world.send_job(chat)
    assert (world.request(request), world.message(chat, key_of(request))) == (cancelled, message)
    assert world.connector.posts_of(world.account) == []
    assert world.alerts() == []


def test_a_thread_goes_on_as_it_stands_when_a_message_before_its_newest_is_taken_back(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.pause()
    world.accept(request)
    world.trigger_ingest(world.receive(chat, "a question", at=datetime.now(UTC) + timedelta(seconds=2)))
    cancel(world, request)
    thread = world.thread(chat)
    assert (thread["lastMessagePreview"], thread["unreadCountGlobal"]) == ("a question", 1)


def test_a_message_that_is_taken_back_before_its_trigger_stands_in_its_chat_as_failed(world: World) -> None:
    chat = world.chat()
    request = world.write(chat, "Too fast.")
    cancel(world, request)
    assert world.message(chat, key_of(request))["error"].startswith("cancelled: ")
    assert world.thread(chat)["lastMessagePreview"] == "Not sent: Too fast."
    world.trigger_outbox(request)
    assert world.request(request)["status"] == "failed"
    assert world.connector.posts_of(world.account) == []


def test_the_head_that_is_taken_back_lets_the_next_one_leave(world: World) -> None:
    """The head waits for its next attempt; nothing but the cancelling wakes the queue before that."""
    chat = world.chat()
    head, following = world.write(chat), world.write(chat)
    for request in (head, following):
        world.accept(request)
    until = datetime.now(UTC) + timedelta(minutes=30)
    world.db.collection(schema.OUTBOX).document(head).update({"claimUntil": until})
    cancel(world, head)
    world.wait_for(following, "sent")
    assert world.connector.keys(world.account) == [key_of(following)]


def test_nobody_takes_anothers_message_back(world: World) -> None:
    request = world.write(world.chat())
    world.accept(request)
    with pytest.raises(Refused) as refused:
        cancel(world, request, by=ROOT)
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert world.request(request)["status"] == "queued"


def test_a_request_that_does_not_exist_is_named_as_such(world: World) -> None:
    request = world.write(world.chat())
    world.db.collection(schema.OUTBOX).document(request).delete()
    for ask in (lambda: cancel(world, request), lambda: resolve(world, request, Decision.RESEND)):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_a_claim_that_comes_between_wins_over_the_cancelling(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    stores = InterruptedRequest(world.services.stores, lambda: world.hold_until(request, 3))
    with pytest.raises(Refused) as refused:
        cancel(world, request, decisions=replace(world.services.decisions, stores=stores))
    assert refused.value.code is ErrorCode.NOT_CANCELLABLE
    assert world.request(request)["status"] == "sending"
    assert world.message(chat, key_of(request))["delivery"] == "queued"


def test_a_claim_that_the_cancelling_came_before_is_not_made(
    world: World, another_process: Callable[[], Services]
) -> None:
    """A job has read the head as queued, and its request is taken back before the claim."""
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    slow = another_process()

    class CancelledLook(Stores):
        def find(self, query: Any) -> list[Stored[Document]]:
            found = super().find(query)
            if found:
                cancel(world, request)
            return found

    slow_send = replace(slow.send, stores=CancelledLook(slow.stores.db))
    slow_send.run(Job(thread_id=world.thread_id(chat)), is_retry=False)
    assert world.request(request)["lastError"].startswith("cancelled: ")
    assert world.connector.posts_of(world.account) == []


def created_again(world: World, request: RequestId) -> None:
    """Its document's time was over, and an offline client creates it once more."""
    reference = world.db.collection(schema.OUTBOX).document(request)
    kept = ("threadId", "accountId", "chatId", "to", "text", "clientMessageId", "createdByUid", "createdByEmail")
    born = {name: value for name, value in world.request(request).items() if name in kept}
    reference.delete()
    reference.create({**born, "createdAt": datetime.now(UTC), "status": "queued"})


@pytest.mark.parametrize("meets_it_first", ["trigger", "send job"])
def test_a_request_that_was_taken_back_is_not_sent_when_it_is_created_again(world: World, meets_it_first: str) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    cancel(world, request)
    before, message = world.request(request), world.message(chat, key_of(request))
    created_again(world, request)
    if meets_it_first == "trigger":
        assert world.trigger_outbox(request) is Acceptance.ENDED
    else:
        world.send_job(chat)  # it may join the one that its acceptance has begun
    wait_until(lambda: world.request(request)["status"] == "failed", "it is ended again")
    again = world.request(request)
    assert again["lastError"] == before["lastError"]
    assert again["expireAt"] > datetime.now(UTC)
    assert world.message(chat, key_of(request)) == message
    world.send_job(chat)
    assert world.connector.posts_of(world.account) == []


# ---- deciding


def test_what_is_known_of_a_request_is_shown_and_nothing_is_changed(world: World) -> None:
    chat = world.chat()
    request = given_up(world, chat)
    before = world.request(request)
    known = world.services.decisions.look(*checked_request_id(request))
    assert (known["status"], known["attempts"], known["delivery"]) == ("failed", MAX_ATTEMPTS, "failed")
    assert known["lastError"] == before["lastError"]
    assert known["lastTriedAt"] == before["lastTriedAt"].isoformat()
    assert world.request(request) == before


@pytest.mark.parametrize("how", [given_up, left_sending])
@pytest.mark.parametrize(
    ("decided", "status", "delivery"),
    [(Decision.MARK_SENT, "sent", "sent"), (Decision.MARK_FAILED, "failed", "failed")],
)
def test_a_super_admins_word_ends_an_uncertain_request_without_a_frame(
    world: World, how: Callable[[World, ChatId], RequestId], decided: Decision, status: str, delivery: str
) -> None:
    chat = world.chat()
    request = how(world, chat)
    frames = world.connector.keys(world.account)
    answer = resolve(world, request, decided)
    document = world.request(request)
    assert (document["status"], world.message(chat, key_of(request))["delivery"]) == (status, delivery)
    assert (answer["status"], answer["delivery"], answer["decision"]) == (status, delivery, decided)
    assert (document["decidedByUid"], document["decidedByEmail"]) == ("root", "root@example.com")
    assert (answer["decidedByEmail"], answer["decidedAt"]) == ("root@example.com", document["decidedAt"].isoformat())
    assert (answer["createdByUid"], answer["createdAt"]) == ("uid-1", document["createdAt"].isoformat())
    assert [alert["resolvedAt"] is None for alert in world.alerts()] in ([], [False])

    assert resolve(world, request, decided) == answer
    assert world.request(request) == document
    world.send_job(chat)
    assert world.connector.keys(world.account) == frames


def test_an_uncertain_message_that_is_resent_leaves_once_more_under_a_new_id(world: World) -> None:
    chat = world.chat()
    request = given_up(world, chat)
    frames = world.connector.keys(world.account)
    answer = resolve(world, request, Decision.RESEND)
    assert resolve(world, request, Decision.RESEND) == answer
    new = RequestId(str(answer["resentAs"]))
    resent = world.wait_for(new, "sent")
    assert (resent["resendOf"], resent["createdByUid"], resent["text"]) == (request, "uid-1", "hello")
    assert world.connector.keys(world.account) == [*frames, key_of(new)]
    assert (world.request(request)["status"], world.request(request)["resentAs"]) == ("failed", new)
    assert world.message(chat, key_of(request))["delivery"] == "failed"
    assert [alert["resolvedAt"] is None for alert in world.alerts()] in ([], [False])


def test_what_is_still_tried_under_its_own_id_is_not_resent_beside_it(world: World) -> None:
    request = left_sending(world, world.chat())
    before = world.request(request)
    with pytest.raises(Refused) as refused:
        resolve(world, request, Decision.RESEND)
    assert (refused.value.code, world.request(request)) == (ErrorCode.NOT_UNCERTAIN, before)
    assert "under its own id" in refused.value.detail


def resent_and_waiting(world: World, chat: ChatId) -> tuple[RequestId, RequestId]:
    """A request that was given up, and the one in its place, which waits for its account to come back."""
    request = given_up(world, chat)
    world.pause()
    world.services.send.owners.forget(world.account)
    return request, RequestId(str(resolve(world, request, Decision.RESEND)["resentAs"]))


@pytest.mark.parametrize("by", ["receipt", "echo"])
def test_what_waits_to_be_sent_again_does_not_leave_when_the_first_one_turns_out_to_be_sent(
    world: World, by: str
) -> None:
    chat = world.chat()
    request, new = resent_and_waiting(world, chat)
    if by == "receipt":
        world.trigger_ingest(world.receipt(chat, key_of(request), "delivered"))
    else:
        world.trigger_ingest(world.receive(chat, "hello", key_of(request), payload={"fromMe": True}))
    following = world.write(chat)
    world.connect()
    world.send_job(chat)
    world.wait_for(following, "sent")
    ended = world.request(new)
    assert (ended["status"], ended["lastError"].partition(":")[0]) == ("failed", "cancelled")
    assert "sent after all" in ended["lastError"]
    assert world.message(chat, key_of(new))["error"] == ended["lastError"]
    assert world.request(request)["status"] == "sent"
    assert world.connector.keys(world.account) == [key_of(request), key_of(following)]
    assert all(alert["resolvedAt"] is not None for alert in world.alerts())


class CountedMessages(Stores):
    """Notes which messages are read."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.db)
        self.read: list[WaMessageId] = []

    def message(self, message_id: WaMessageId) -> Stored[StoredMessage] | None:
        self.read.append(message_id)
        return super().message(message_id)


def test_only_what_is_sent_again_costs_a_look_at_another_message(world: World) -> None:
    chat = world.chat()
    request, new = resent_and_waiting(world, chat)
    ordinary = world.write(chat)
    for each in (new, ordinary):
        world.accept(each)
    world.connect()
    stores = CountedMessages(world.services.stores)
    replace(world.services.send, stores=stores).run(Job(thread_id=world.thread_id(chat)), is_retry=False)
    read = [str(message_id).rpartition("_")[2] for message_id in stores.read]
    assert read == [key_of(new), key_of(request), key_of(ordinary)]
    assert world.connector.keys(world.account) == [key_of(request), key_of(new), key_of(ordinary)]


def test_a_request_in_the_place_of_what_would_be_sent_again_is_named(world: World) -> None:
    chat = world.chat()
    request = given_up(world, chat)
    parsed = parse_request(request, world.request(request))
    assert isinstance(parsed, Request)
    name, fields = resent(parsed, datetime.now(UTC))
    world.db.collection(schema.OUTBOX).document(name).create(fields | {"status": "sent"})
    with pytest.raises(Refused) as refused:
        resolve(world, request, Decision.RESEND)
    assert "stands already" in refused.value.detail
    assert "decision" not in world.request(request)
    assert resolve(world, request, Decision.MARK_FAILED)["decision"] == "markFailed"


def test_of_two_who_resend_at_once_neither_is_refused(world: World) -> None:
    request = given_up(world, world.chat())
    stores = InterruptedRequest(world.services.stores, lambda: resolve(world, request, Decision.RESEND))
    answer = resolve(world, request, Decision.RESEND, replace(world.services.decisions, stores=stores))
    assert answer["resentAs"] == world.request(request)["resentAs"]


def test_the_head_that_is_decided_lets_the_next_one_leave(world: World) -> None:
    chat = world.chat()
    head = left_sending(world, chat)
    following = world.write(chat)
    world.accept(following)
    resolve(world, head, Decision.MARK_FAILED)
    world.wait_for(following, "sent")
    assert world.connector.keys(world.account) == [key_of(following)]


def test_a_receipt_after_the_decision_still_proves_the_message(world: World) -> None:
    chat = world.chat()
    request = given_up(world, chat)
    resolve(world, request, Decision.MARK_FAILED)
    world.trigger_ingest(world.receipt(chat, key_of(request), "delivered"))
    assert world.request(request)["status"] == "sent"
    assert world.message(chat, key_of(request))["delivery"] == "delivered"


def test_a_receipt_after_the_limit_closes_the_alert_that_asked_for_a_decision(world: World) -> None:
    chat = world.chat()
    request = given_up(world, chat)
    world.trigger_ingest(world.receipt(chat, key_of(request), "delivered"))
    (alert,) = world.alerts()
    assert (alert["type"], alert["resolvedAt"] is None) == ("outcome_unknown", False)
    assert world.request(request)["expireAt"] > datetime.now(UTC) + timedelta(days=89)
    with pytest.raises(Refused) as refused:
        resolve(world, request, Decision.RESEND)
    assert refused.value.code is ErrorCode.NOT_UNCERTAIN


def test_a_second_decision_does_not_undo_the_first(world: World) -> None:
    request = given_up(world, world.chat())
    resolve(world, request, Decision.MARK_SENT)
    for other in (Decision.RESEND, Decision.MARK_FAILED):
        with pytest.raises(Refused) as refused:
            resolve(world, request, other)
        assert refused.value.code is ErrorCode.NOT_UNCERTAIN
        assert "markSent" in refused.value.detail
    assert world.request(request)["status"] == "sent"


@pytest.mark.parametrize("decided", list(Decision))
def test_what_is_known_or_under_way_is_not_decided(world: World, decided: Decision) -> None:
    chat = world.chat()
    rejected, held, queued = (world.write(chat) for _ in range(3))
    world.connector.script(key_of(rejected), Answer(outcome="rejected", reason="463", reaches_wire=False))
    for request in (rejected, held, queued):
        world.accept(request)
    world.hold_until(held, 20)
    world.send_job(chat)
    for request in (rejected, held, queued):
        before = world.request(request)
        with pytest.raises(Refused) as refused:
            resolve(world, request, decided)
        assert refused.value.code is ErrorCode.NOT_UNCERTAIN
        assert world.request(request) == before


def test_an_attempt_that_begins_between_wins_over_the_decision(world: World) -> None:
    """Its frame may leave after it was said to have failed."""
    chat = world.chat()
    request = left_sending(world, chat)
    stores = InterruptedRequest(world.services.stores, lambda: world.hold_until(request, 3))
    with pytest.raises(Refused) as refused:
        resolve(world, request, Decision.MARK_FAILED, replace(world.services.decisions, stores=stores))
    assert "under way" in refused.value.detail
    assert "decision" not in world.request(request)


def test_a_receipt_that_comes_between_wins_over_the_decision(world: World) -> None:
    chat = world.chat()
    request = given_up(world, chat)
    receipt = world.receipt(chat, key_of(request), "read")
    stores = InterruptedRequest(world.services.stores, lambda: world.trigger_ingest(receipt))
    with pytest.raises(Refused) as refused:
        resolve(world, request, Decision.RESEND, replace(world.services.decisions, stores=stores))
    assert refused.value.code is ErrorCode.NOT_UNCERTAIN
    assert world.request(request)["status"] == "sent"


@pytest.mark.parametrize("decided", [Decision.MARK_SENT, Decision.MARK_FAILED])
def test_a_receipt_that_moves_only_the_message_wins_over_the_decision(world: World, decided: Decision) -> None:
    """The request still stands as sending, so only the message itself shows that it was read."""
    chat = world.chat()
    request = left_sending(world, chat)
    receipt = world.receipt(chat, key_of(request), "read")
    stores = InterruptedMessage(world.services.stores, lambda: world.trigger_ingest(receipt))
    with pytest.raises(Refused) as refused:
        resolve(world, request, decided, replace(world.services.decisions, stores=stores))
    assert refused.value.code is ErrorCode.NOT_UNCERTAIN
    assert world.message(chat, key_of(request))["delivery"] == "read"
