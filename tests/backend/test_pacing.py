"""A queue that its account's pace holds back: it says why, burns no attempt, holds up no other, and goes on under the same id."""

import json
from datetime import UTC, datetime, timedelta

from backend.send import JobEnd
from core import schema
from core.ids import ChatId
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of
from tests.waiting import wait_until


def held(reason: str, **away: float) -> Answer:
    until = (datetime.now(UTC) + timedelta(**away)).isoformat()
    return Answer(body=json.dumps({"outcome": "not_before", "reason": reason, "notBefore": until}), reaches_wire=False)


def contact_writes(world: World, chat: ChatId, when: datetime) -> None:
    """As threadlineOnIngest notes it."""
    thread = world.db.collection(schema.THREADS).document(world.thread_id(chat))
    thread.update({"contactWroteAt": when})


def test_a_message_that_whatsapp_refuses_for_a_while_waits_says_so_and_goes_out_under_its_id(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), held("cold_locked", seconds=1.0))
    world.accept(request)
    assert world.send_job(chat) is JobEnd.HEAD_HELD
    waiting = world.request(request)
    assert (waiting["status"], waiting["attempts"]) == ("queued", 0)
    assert waiting["lastError"].startswith("cold_locked: ")
    sent = world.wait_for(request, "sent")
    assert (sent["attempts"], sent["lastError"]) == (1, None)
    assert world.connector.keys(world.account) == [key_of(request)]


def test_a_long_wait_is_looked_at_once_an_hour_and_writes_nothing_in_between(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), held("cold_limit", hours=12))
    world.accept(request)
    world.send_job(chat)
    waiting = world.request(request)
    assert timedelta(minutes=55) < waiting["claimUntil"] - datetime.now(UTC) < timedelta(hours=1)
    for _ in range(3):
        assert world.send_job(chat) is JobEnd.HEAD_HELD
    assert world.request(request) == waiting
    assert len(world.connector.posts_of(world.account)) == 1


def test_a_cold_head_holds_up_no_other_thread(world: World) -> None:
    cold, other = world.chat(), world.chat()
    first, second = world.write(cold), world.write(other)
    world.connector.script(key_of(first), held("cold_locked", hours=6))
    for request in (first, second):
        world.accept(request)
    world.send_job(cold)
    world.send_job(other)
    assert world.request(second)["status"] == "sent"


def test_the_connector_is_told_whether_the_contact_has_written_within_a_day(world: World) -> None:
    for ago, is_reply in ((None, False), (timedelta(hours=1), True), (timedelta(hours=25), False)):
        chat = world.chat()
        if ago is not None:
            contact_writes(world, chat, datetime.now(UTC) - ago)
        request = world.write(chat)
        world.accept(request)
        world.send_job(chat)
        (post,) = [post for post in world.connector.posts if post["waMessageKey"] == key_of(request)]
        assert post["isReply"] is is_reply


def test_a_cold_message_is_a_reply_as_soon_as_its_contact_writes_and_goes_out_before_its_time(world: World) -> None:
    chat = world.chat()
    cold, answer = world.write(chat), world.write(chat)
    world.connector.script(key_of(cold), held("cold_locked", hours=6))
    world.accept(cold)
    world.send_job(chat)
    contact_writes(world, chat, datetime.now(UTC))
    world.accept(answer)
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY
    assert world.connector.keys(world.account) == [key_of(cold), key_of(answer)]
    assert [post["isReply"] for post in world.connector.posts_of(world.account)] == [False, True, True]


def test_a_cold_message_in_doubt_is_a_reply_too_as_soon_as_its_contact_writes(world: World) -> None:
    """An attempt of it got no answer, and its retry was told to wait: nobody may have to wait for that in this chat."""
    chat = world.chat()
    cold, answer = world.write(chat), world.write(chat)
    world.connector.script(key_of(cold), Answer(outcome="unknown"), held("cold_locked", hours=6))
    world.accept(cold)
    world.send_job(chat)
    wait_until(lambda: world.request(cold).get("heldBy") == "cold_locked", "the retry was told to wait")
    waiting = world.request(cold)
    assert (waiting["status"], waiting["attempts"]) == ("sending", 1)
    assert waiting["lastError"].startswith("outcome_unknown: ")
    contact_writes(world, chat, datetime.now(UTC))
    world.accept(answer)
    world.send_job(chat)
    world.wait_for(answer, "sent")
    assert world.request(cold)["status"] == "sent"
    assert [post["isReply"] for post in world.connector.posts_of(world.account)] == [False, False, True, True]


def test_an_attempt_that_is_under_way_after_a_hold_is_not_overtaken_by_a_contact_that_writes(world: World) -> None:
    """Its claim has ended the hold: a second job may not be at work beside it."""
    chat = world.chat()
    cold = world.write(chat)
    seen: list[JobEnd] = []

    def contact_writes_meanwhile() -> None:
        contact_writes(world, chat, datetime.now(UTC))
        seen.append(world.send_job(chat, is_retry=True))

    world.connector.script(key_of(cold), held("cold_locked", seconds=0.3), Answer(before=contact_writes_meanwhile))
    world.accept(cold)
    world.send_job(chat)
    world.wait_for(cold, "sent")
    assert seen == [JobEnd.HEAD_HELD]
    assert world.request(cold)["heldBy"] is None


def test_who_is_away_only_for_an_attempt_is_not_overtaken_by_a_contact_that_writes(world: World) -> None:
    """A hold that is no cold one, such as a back-off, stays."""
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), held("paced", minutes=10))
    world.accept(request)
    world.send_job(chat)
    contact_writes(world, chat, datetime.now(UTC))
    assert world.send_job(chat) is JobEnd.HEAD_HELD
    assert world.request(request)["lastError"].startswith("paced: ")
