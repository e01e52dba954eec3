"""Every way in which nobody knows whether a message left: it says so until there is proof, under the one id, and never as "not sent"."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.send import JobEnd
from core import schema
from core.ids import ChatId, RequestId
from core.outbox import MAX_ATTEMPTS
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of
from tests.waiting import wait_until

UNKNOWN = Answer(outcome="unknown")
NO_ANSWER = Answer(breaks=True)


def in_doubt(world: World, chat: ChatId, first: Answer, *following: Answer) -> RequestId:
    """A request with an attempt whose frame left and whose answer did not come, after which its next attempt is due."""
    request = world.write(chat)
    world.connector.script(key_of(request), first, *following)
    world.accept(request)
    world.send_job(chat)
    assert world.request(request)["status"] == "sending"
    return request


def let_its_claim_end(world: World, request: RequestId) -> None:
    until = world.request(request)["claimUntil"]
    wait_until(lambda: world.request(request)["claimUntil"] != until, "the next attempt was made")


@pytest.mark.parametrize("first", [UNKNOWN, NO_ANSWER, Answer(status=500)], ids=["unknown", "broken", "500"])
@pytest.mark.parametrize(
    "second",
    [
        Answer(outcome="not_sent", reason="socket closed", reaches_wire=False),
        Answer(outcome="expired", reaches_wire=False),
        Answer(outcome="not_owner", reaches_wire=False),
        Answer(status=429, reaches_wire=False),
    ],
    ids=["not_sent", "expired", "not_owner", "429"],
)
def test_an_attempt_that_did_not_leave_does_not_hide_that_the_one_before_may_have(
    world: World, first: Answer, second: Answer
) -> None:
    chat = world.chat()
    seen: list[Any] = []
    request = RequestId("")

    def note() -> None:
        seen.append(world.request(request))

    request = in_doubt(world, chat, first, second, Answer(before=note))
    world.wait_for(request, "sent")
    before_the_third = seen[0]
    assert before_the_third["lastError"].startswith("outcome_unknown: ")
    assert world.connector.keys(world.account) == [key_of(request)] * 2
    assert world.message(chat, key_of(request))["delivery"] == "sent"


def test_a_message_in_doubt_whose_account_goes_stays_in_doubt_and_is_proven_by_its_echo(world: World) -> None:
    chat = world.chat()
    request = in_doubt(world, chat, UNKNOWN, Answer(outcome="not_connected", reaches_wire=False))
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"status": "reconnecting"})
    let_its_claim_end(world, request)
    wait_until(lambda: world.request(request)["claimUntil"] is None, "the attempt was given back")
    waiting = world.request(request)
    assert (waiting["status"], waiting["attempts"]) == ("sending", 1)
    assert waiting["lastError"].startswith("outcome_unknown: ")

    echo = world.receive(chat, "hello", key_of(request), payload={"fromMe": True})
    world.trigger_ingest(echo)
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY
    assert world.request(request)["status"] == "sent"
    assert world.connector.keys(world.account) == [key_of(request)]


@pytest.mark.parametrize(
    "last",
    [
        Answer(outcome="not_sent", reason="socket closed", reaches_wire=False),
        Answer(outcome="rejected", reason="463", reaches_wire=False),
    ],
    ids=["not_sent", "rejected"],
)
def test_what_may_have_left_never_ends_as_if_it_had_not(world: World, last: Answer) -> None:
    chat = world.chat()
    request = in_doubt(world, chat, UNKNOWN, last)
    following = world.write(chat)
    world.accept(following)
    world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    failed = world.wait_for(request, "failed")
    assert failed["lastError"].startswith("outcome_unknown: ")
    assert world.message(chat, key_of(request))["error"] == failed["lastError"]
    assert world.alert_of("outcome_unknown", request) is not None
    world.wait_for(following, "sent")
    assert world.connector.keys(world.account) == [key_of(request), key_of(following)]


def test_a_message_that_no_attempt_could_send_fails_with_one_alert_for_its_account(world: World) -> None:
    chat = world.chat()
    requests = [world.write(chat), world.write(chat)]
    for request in requests:
        world.connector.script(key_of(request), Answer(outcome="not_sent", reaches_wire=False))
        world.accept(request)
        world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    world.send_job(chat)
    assert [world.request(request)["lastError"].partition(":")[0] for request in requests] == ["not_sent"] * 2
    (alert,) = world.alerts()
    assert (alert["type"], alert["count"]) == ("not_sent", 2)


def settle_by_receipt(world: World, chat: ChatId, request: RequestId) -> None:
    world.trigger_ingest(world.receipt(chat, key_of(request), "sent"))


def settle_by_echo(world: World, chat: ChatId, request: RequestId) -> None:
    world.trigger_ingest(world.receive(chat, "hello", key_of(request), payload={"fromMe": True}))


@pytest.mark.parametrize("prove", [settle_by_receipt, settle_by_echo])
@pytest.mark.parametrize("first", [UNKNOWN, NO_ANSWER], ids=["unknown", "broken"])
def test_proof_before_the_next_attempt_leaves_one_copy(
    world: World, first: Answer, prove: Callable[[World, ChatId, RequestId], None]
) -> None:
    chat = world.chat()
    request = in_doubt(world, chat, first)
    prove(world, chat, request)
    world.wait_for(request, "sent")
    assert world.connector.keys(world.account) == [key_of(request)]
    assert len(world.connector.posts_of(world.account)) == 1
    assert world.alerts() == []
