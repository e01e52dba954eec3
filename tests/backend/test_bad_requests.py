"""Outbox documents that the rules would not have let through, and requests that nobody can send."""

from typing import Any

import pytest

from backend.accept import Acceptance
from backend.stores import stored_as
from core import schema
from tests.backend.world import World, key_of


def test_a_request_for_an_account_that_does_not_exist_fails_with_one_alert(world: World) -> None:
    chat = world.chat()
    requests = [world.write(chat), world.write(chat)]
    world.db.collection(schema.LEASES).document(world.account).delete()
    for request in requests:
        world.accept(request)
    world.send_job(chat)
    for request in requests:
        assert world.request(request)["lastError"].startswith("account_unknown: ")
        assert world.request(request)["status"] == "failed"
        assert world.message(chat, key_of(request))["delivery"] == "failed"
    assert [alert["type"] for alert in world.alerts()] == ["account_unknown"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"clientMessageId": "another"}, "wrong_request_id: "),
        ({"text": "x" * 5000}, "invalid_request: text"),
        ({"text": ["a"]}, "invalid_request: text"),
        ({"text": None}, "invalid_request: text"),
        ({"to": "40799999999@s.whatsapp.net"}, "wrong_request_id: "),
        ({"accountId": "someone-else"}, "wrong_request_id: "),
        ({"threadId": "a/b_c"}, "invalid_request: "),
        ({"threadId": 7}, "invalid_request: "),
        ({"clientMessageId": "no spaces"}, "invalid_request: clientMessageId"),
        ({"clientMessageId": None}, "invalid_request: clientMessageId"),
        ({"createdByUid": None}, "invalid_request: createdByUid"),
        ({"createdAt": None}, "invalid_request: createdAt"),
        ({"createdAt": "2026-01-01"}, "invalid_request: createdAt"),
        ({"status": None}, "invalid_request: a new request's status"),
        ({"status": "sending"}, "invalid_request: a new request's status"),
        ({"attempts": "many", "status": "waiting"}, "invalid_request: a new request's status"),
    ],
)
def test_a_document_that_bypassed_the_rules_fails_with_what_is_wrong_and_disturbs_nothing(
    world: World, changes: dict[str, Any], error: str
) -> None:
    chat = world.chat()
    bad = world.write(chat, **changes)
    good = world.write(chat, "good")
    for _ in range(2):
        assert world.trigger_outbox(bad) is Acceptance.ENDED
    world.trigger_outbox(good)
    world.wait_for(good, "sent")

    document = world.request(bad)
    assert document["status"] == "failed"
    assert document["lastError"].startswith(error)
    alert = world.alert_of(error.split(":")[0], bad)
    assert alert is not None
    assert alert["count"] == 1
    assert world.connector.keys(world.account) == [key_of(good)]


@pytest.mark.parametrize(
    "changes", [{"text": ["a"]}, {"clientMessageId": "no spaces"}, {"threadId": 7}, {"accountId": 7}, {"to": "x"}]
)
def test_the_alert_of_a_refused_request_names_the_account_that_the_request_names(
    world: World, changes: dict[str, Any]
) -> None:
    bad = world.write(world.chat(), **changes)
    world.accept(bad)
    assert [alert["meta"]["document"] for alert in world.alerts()] == [f"{schema.OUTBOX}/{bad}"]


def test_the_alert_of_a_request_without_a_thread_names_its_account(world: World) -> None:
    world.accept(world.write(world.chat(thread=False)))
    assert [alert["type"] for alert in world.alerts()] == ["thread_unknown"]


def test_the_alert_of_a_request_that_names_no_account_names_none(world: World) -> None:
    bad = world.write(world.chat(), threadId=7, accountId="a/b")
    world.accept(bad)
    alert = world.alert_of("invalid_request", bad)
    assert alert is not None
    assert alert["accountId"] is None


def test_a_bad_head_that_a_job_meets_before_its_trigger_is_refused_by_the_job(world: World) -> None:
    chat = world.chat()
    bad, good = world.write(chat, text="x" * 5000), world.write(chat, "good")
    world.send_job(chat)
    assert world.request(bad)["lastError"].startswith("invalid_request: text")
    assert world.request(good)["status"] == "sent"


def test_a_request_for_a_thread_that_does_not_exist_is_refused(world: World) -> None:
    request = world.write(world.chat(thread=False))
    assert world.trigger_outbox(request) is Acceptance.ENDED
    assert world.request(request)["lastError"].startswith("thread_unknown: ")


def test_a_request_refused_for_want_of_a_thread_stays_refused_when_its_event_comes_again(world: World) -> None:
    """The thread has been created in between; without the failed message the second delivery would accept it."""
    chat = world.chat(thread=False)
    request = world.write(chat)
    born = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
    assert world.services.accept.new_request(born) is Acceptance.ENDED
    world.trigger_ingest(world.receive(chat, "hello"))
    before = world.thread(chat)
    world.services.accept.new_request(born)
    world.send_job(chat)
    assert world.thread(chat) == before
    assert world.message(chat, key_of(request))["delivery"] == "failed"
    assert world.request(request)["status"] == "failed"
    assert world.connector.keys(world.account) == []


def test_a_trigger_that_comes_after_its_request_failed_changes_nothing(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    born = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
    world.db.collection(schema.LEASES).document(world.account).delete()
    world.send_job(chat)
    before = world.request(request), world.message(chat, key_of(request)), world.thread(chat)
    world.services.accept.new_request(born)
    assert (world.request(request), world.message(chat, key_of(request)), world.thread(chat)) == before
    assert before[1]["delivery"] == "failed"


def test_an_alert_whose_cause_comes_again_counts_and_is_open_again(world: World) -> None:
    chat = world.chat()
    requests = [world.write(chat), world.write(chat)]
    world.db.collection(schema.LEASES).document(world.account).delete()
    for request in requests:
        world.accept(request)
    world.send_job(chat)
    (alert,) = world.alerts()
    assert (alert["type"], alert["count"], alert["resolvedAt"]) == ("account_unknown", 2, None)


@pytest.mark.parametrize(
    "changes", [{"createdByUid": "u" * 200}, {"createdByEmail": "e" * 400}, {"media": "m" * 100_000}]
)
def test_fields_that_leave_the_server_no_room_are_refused(world: World, changes: dict[str, Any]) -> None:
    chat = world.chat()
    request = world.write(chat, **changes)
    assert world.trigger_outbox(request) is Acceptance.ENDED
    assert world.request(request)["lastError"].startswith("invalid_request: ")


def test_a_document_as_large_as_firestore_takes_is_refused_and_frees_its_chat(world: World) -> None:
    chat = world.chat()
    huge, good = world.write(chat, media="m" * 1_047_300), world.write(chat, "good")
    world.send_job(chat)
    document = world.request(huge)
    assert document["lastError"].startswith("invalid_request: the document is too large")
    assert document["status"] == "failed"
    assert world.request(good)["status"] == "sent"


def test_a_claim_that_lies_too_far_ahead_is_nobodys(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.hold_until(request, 10 * 24 * 3600)
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"
