"""A request that is older than its account's limit fails instead of going out stale, and not in silence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.send import JobEnd
from backend.send_queue import Job
from backend.stores import Document, Stored, Stores
from core import schema
from core.ids import AccountId, ChatId, RequestId
from tests.backend.interrupted import InterruptedMessage
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of
from tests.waiting import wait_until

# Of the time scale of these tests: a day is 2.4 hours, the least limit half a minute.
A_DAY = timedelta(hours=2.4)
AN_HOUR = timedelta(hours=1)


class CountedAccounts(Stores):
    """Counts how often an account's document is read."""

    reads = 0

    def account(self, account_id: AccountId) -> Stored[Document] | None:
        self.reads += 1
        return super().account(account_id)


def written(world: World, chat: ChatId, age: timedelta, *, accepted: bool = True) -> RequestId:
    """A request that was created so long ago, and waits since."""
    request = world.write(chat, createdAt=datetime.now(UTC) - age)
    if accepted:
        world.accept(request)
    return request


def set_limit(world: World, limit_s: object) -> None:
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"queueLimitS": limit_s})


def assert_expired(world: World, chat: ChatId, request: RequestId) -> None:
    document, message = world.request(request), world.message(chat, key_of(request))
    assert document["status"] == "failed"
    assert document["lastError"].startswith("expired: ")
    assert (message["delivery"], message["error"]) == ("failed", document["lastError"])
    assert document["expireAt"] > datetime.now(UTC)


@pytest.mark.parametrize("accepted", [True, False])
def test_what_waited_for_more_than_a_day_fails_and_what_is_younger_leaves(world: World, accepted: bool) -> None:
    chat = world.chat()
    stale = [written(world, chat, A_DAY + timedelta(minutes=n), accepted=accepted) for n in (2, 1)]
    fresh = written(world, chat, A_DAY - timedelta(minutes=1))
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY
    for request in stale:
        assert_expired(world, chat, request)
        assert world.request(request).get("attempts", 0) == 0
    assert world.request(fresh)["status"] == "sent"
    assert world.connector.keys(world.account) == [key_of(fresh)]
    (alert,) = world.alerts()
    assert (alert["type"], alert["count"], alert["resolvedAt"]) == ("expired", 2, None)


def test_the_queue_of_a_paused_account_expires_too(world: World) -> None:
    chat = world.chat()
    world.pause()
    stale, fresh = written(world, chat, A_DAY + AN_HOUR), written(world, chat, AN_HOUR)
    assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    assert_expired(world, chat, stale)
    assert world.request(fresh)["status"] == "queued"


def test_the_sweeper_finds_what_no_job_has_met(world: World) -> None:
    chat = world.chat()
    world.pause()
    stale = written(world, chat, A_DAY + AN_HOUR, accepted=False)
    world.services.sweep.run()
    world.wait_for(stale, "failed")
    assert_expired(world, chat, stale)


@pytest.mark.parametrize(
    ("limit_s", "expires"), [(1800, True), (2 * 3600, False), (0, False), (None, False), ("soon", False)]
)
def test_an_accounts_own_limit_holds_and_none_means_a_day(world: World, limit_s: object, expires: bool) -> None:
    chat = world.chat()
    set_limit(world, limit_s)
    request = written(world, chat, AN_HOUR)
    world.send_job(chat)
    assert world.request(request)["status"] == ("failed" if expires else "sent")


def test_an_account_may_let_its_messages_wait_for_longer_than_a_day(world: World) -> None:
    chat = world.chat()
    set_limit(world, 48 * 3600)
    request = written(world, chat, A_DAY + AN_HOUR)
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"


def test_a_young_message_costs_no_look_at_its_account_and_an_old_backlog_one_a_job(world: World) -> None:
    chat = world.chat()
    stores = CountedAccounts(world.db)
    send = replace(world.services.send, expiry=replace(world.services.send.expiry, stores=stores))
    young = [world.write(chat) for _ in range(2)]
    send.run(Job(thread_id=world.thread_id(chat)), is_retry=False)
    assert stores.reads == 0
    old = [written(world, chat, AN_HOUR - timedelta(minutes=n)) for n in range(4)]
    send.run(Job(thread_id=world.thread_id(chat)), is_retry=False)
    assert stores.reads == 1
    assert world.connector.keys(world.account) == [key_of(request) for request in young + old]


def test_an_old_head_whose_claim_may_be_live_is_left_alone(world: World) -> None:
    chat = world.chat()
    request = written(world, chat, A_DAY + AN_HOUR)
    world.hold_until(request, 3)
    assert world.send_job(chat) is JobEnd.HEAD_HELD
    assert world.request(request)["status"] == "sending"


class BoundedLooks(Stores):
    """Allows so many looks at a queue."""

    left = 10

    def find(self, query: Any) -> list[Stored[Document]]:
        self.left -= 1
        assert self.left >= 0, "the job looks at the same head again and again"
        return super().find(query)


@pytest.mark.parametrize(("status", "error"), [("queued", "expired: "), ("sending", "outcome_unknown: ")])
def test_an_old_cold_head_whose_contact_writes_ends_before_its_time_and_lets_the_answer_leave(
    world: World, status: str, error: str
) -> None:
    chat = world.chat()
    cold, answer = written(world, chat, A_DAY + AN_HOUR), written(world, chat, AN_HOUR)
    hold = {"status": status, "claimUntil": datetime.now(UTC) + timedelta(minutes=30), "heldBy": "cold_locked"}
    world.db.collection(schema.OUTBOX).document(cold).update(hold)
    thread = world.db.collection(schema.THREADS).document(world.thread_id(chat))
    thread.update({"contactWroteAt": datetime.now(UTC)})
    send = replace(world.services.send, stores=BoundedLooks(world.db))
    assert send.run(Job(thread_id=world.thread_id(chat)), is_retry=False) is JobEnd.QUEUE_EMPTY
    assert world.request(cold)["lastError"].startswith(error)
    assert world.connector.keys(world.account) == [key_of(answer)]


def test_a_claim_that_comes_between_wins_over_the_expiry(world: World) -> None:
    chat = world.chat()
    request = written(world, chat, A_DAY + AN_HOUR)
    stores = InterruptedMessage(world.services.stores, lambda: world.hold_until(request, 3))
    send = replace(world.services.send, expiry=replace(world.services.send.expiry, stores=stores))
    assert send.run(Job(thread_id=world.thread_id(chat)), is_retry=False) is JobEnd.HEAD_HELD
    assert world.request(request)["status"] == "sending"
    assert world.message(chat, key_of(request))["delivery"] == "queued"
    assert world.alerts() == []


def test_an_old_message_with_an_attempt_without_an_answer_is_not_sent_again_and_its_end_is_unknown(
    world: World,
) -> None:
    chat = world.chat()
    request = written(world, chat, A_DAY + AN_HOUR)
    world.hold_until(request, -1)
    world.send_job(chat)
    assert world.request(request)["status"] == "failed"
    assert world.request(request)["lastError"].startswith("outcome_unknown: ")
    assert world.connector.posts_of(world.account) == []
    alert = world.alert_of("outcome_unknown", request)
    assert alert is not None
    assert alert["threadId"] == world.thread_id(chat)


def test_an_old_request_whose_message_was_read_meanwhile_is_sent(world: World) -> None:
    chat = world.chat()
    request = written(world, chat, A_DAY + AN_HOUR)
    world.hold_until(request, -1)
    world.trigger_ingest(world.receipt(chat, key_of(request), "read"))
    world.send_job(chat)
    assert (world.request(request)["status"], world.request(request)["lastError"]) == ("sent", None)
    assert world.message(chat, key_of(request))["delivery"] == "read"
    assert world.alerts() == []


def test_a_receipt_that_comes_between_wins_over_the_expiry(world: World) -> None:
    chat = world.chat()
    request = written(world, chat, A_DAY + AN_HOUR)
    world.hold_until(request, -1)
    receipt = world.receipt(chat, key_of(request), "read")
    stores = InterruptedMessage(world.services.stores, lambda: world.trigger_ingest(receipt))
    send = replace(world.services.send, expiry=replace(world.services.send.expiry, stores=stores))
    send.run(Job(thread_id=world.thread_id(chat)), is_retry=False)
    assert world.request(request)["status"] == "sent"
    assert world.message(chat, key_of(request))["delivery"] == "read"


def test_proof_that_comes_after_all_makes_an_expired_message_sent(world: World) -> None:
    chat = world.chat()
    request = written(world, chat, A_DAY + AN_HOUR)
    world.send_job(chat)
    assert_expired(world, chat, request)
    world.trigger_ingest(world.receipt(chat, key_of(request), "delivered"))
    assert (world.request(request)["status"], world.request(request)["lastError"]) == ("sent", None)
    assert world.message(chat, key_of(request))["delivery"] == "delivered"


def test_a_backlogs_next_head_is_not_claimed_when_it_has_become_too_old(world: World) -> None:
    """Its claim would go with the settling of the one before it, past the look at its age."""
    chat = world.chat()
    set_limit(world, 3600)
    first, second = (written(world, chat, AN_HOUR / 2 - timedelta(seconds=n)) for n in range(2))
    too_old_at = datetime.now(UTC) + timedelta(seconds=2)

    def wait_for_its_limit() -> None:
        wait_until(lambda: datetime.now(UTC) > too_old_at, "the second is past its limit")

    world.connector.script(key_of(first), Answer(before=wait_for_its_limit))
    for request, younger in ((first, 0), (second, 10)):
        created_at = too_old_at - AN_HOUR - timedelta(milliseconds=20 - younger)
        world.db.collection(schema.OUTBOX).document(request).update({"createdAt": created_at})
    world.send_job(chat)
    assert world.request(first)["status"] == "sent"
    assert_expired(world, chat, second)
    assert world.connector.keys(world.account) == [key_of(first)]
