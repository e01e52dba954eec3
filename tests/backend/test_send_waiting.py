"""What is no message's fault: an account, a connector or a token that is not there just now. Nothing is burnt, nobody is missed."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from google.auth.exceptions import TransportError

from backend.send import JobEnd, Send
from backend.send_queue import Job
from core import contract, schema
from core.outbox import MAX_ATTEMPTS
from identity.tokens import IdentityTokens
from tests.backend.scripted_connector import Answer
from tests.backend.surroundings import build_services, close_services
from tests.backend.world import NOBODY_LISTENS, World, key_of


class NoTokens(IdentityTokens):
    """The metadata server is away."""

    def headers(self, audience: str) -> NoReturn:
        raise TransportError(f"the metadata server does not answer for {audience}")


def test_a_paused_accounts_queue_waits_untouched_until_its_flush(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.pause()
    world.accept(request)
    before = world.request(request)
    assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    assert world.request(request) == before

    world.connect()
    assert world.services.flush.account(world.account) == 1
    world.wait_for(request, "sent")
    assert world.request(request)["attempts"] == 1


def test_a_session_that_opens_again_and_again_makes_two_jobs_a_thread_and_the_last_opening_is_not_missed(
    world: World,
) -> None:
    request = world.write(world.chat())
    world.pause()
    world.accept(request)
    flush = replace(world.services.flush, interval_s=2.0)
    before, began = world.tasks.counters().get("created", 0), time.time()
    for _ in range(30):
        assert flush.account(world.account) == 1
    intervals = 1 + int(time.time() // 2.0 - began // 2.0)
    assert world.tasks.counters()["created"] - before <= 2 * intervals < 30
    world.connect()
    assert flush.account(world.account) == 1
    assert world.wait_for(request, "sent")["attempts"] == 1


def test_an_account_that_lost_its_connection_burns_no_attempt(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(outcome="not_connected", reaches_wire=False))
    world.accept(request)
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"status": "reconnecting"})
    assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    waiting = world.request(request)
    assert (waiting["status"], waiting["attempts"], waiting["claimUntil"]) == ("queued", 0, None)
    assert waiting["lastError"].startswith("not_connected: ")


def test_a_session_that_opened_between_the_answer_and_its_commit_is_not_missed(world: World) -> None:
    """The flush of that moment found the head still held; so the account is read again before the job leaves."""
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(outcome="not_connected", reaches_wire=False))
    world.accept(request)
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"


def test_a_connector_that_keeps_denying_is_asked_again_later_and_not_in_a_circle(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    denial = Answer(outcome="not_owner", reaches_wire=False)
    world.connector.script(key_of(request), denial, denial, denial)
    world.accept(request)
    assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    assert len(world.connector.posts_of(world.account)) == 1
    assert world.wait_for(request, "sent")["attempts"] == 1


def test_an_owner_that_cannot_be_reached_burns_no_attempt(world: World) -> None:
    """Its lease runs for a while when it has died, and one message may meet more such owners than it has attempts."""
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    world.connect(endpoint=NOBODY_LISTENS)
    for _ in range(2):
        assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
        waiting = world.request(request)
        assert (waiting["status"], waiting["attempts"], waiting["claimUntil"]) == ("queued", MAX_ATTEMPTS - 1, None)
        assert waiting["lastError"].startswith("connector_unreachable: ")
    assert world.alerts() == []
    world.connect()
    assert world.services.flush.account(world.account) == 1
    assert world.wait_for(request, "sent")["attempts"] == MAX_ATTEMPTS
    assert world.connector.keys(world.account) == [key_of(request)]


def test_an_owner_that_could_not_be_reached_is_called_again_though_no_session_opens(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.connect(endpoint=NOBODY_LISTENS)
    world.send_job(chat)
    world.connect()
    assert world.wait_for(request, "sent")["attempts"] == 1


@contextmanager
def remembering(world: World) -> Iterator[Send]:
    """A process that has just read the account's lease, and goes by it."""
    timing = replace(world.settings.timing, positive_lease_cache_s=60.0)
    services = build_services(replace(world.settings, timing=timing))
    services.send.owners.ready(world.account)
    try:
        yield services.send
    finally:
        close_services(services)


def outcomes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["outcome"] for line in lines if "outcome" in line]


def test_a_job_that_has_asked_the_owner_of_before_asks_the_present_one_at_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = world.chat()
    world.accept(world.write(chat))
    world.connect(endpoint=NOBODY_LISTENS)
    with remembering(world) as send:
        world.connect()
        assert send.run(Job(thread_id=world.thread_id(chat)), is_retry=False) is JobEnd.QUEUE_EMPTY
    assert outcomes(capsys) == ["unreachable", "sent"]


def test_a_new_term_at_the_same_address_is_asked_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A connector that was killed comes back under its own address; its flush may have found the head held."""
    chat = world.chat()
    world.accept(world.write(chat))
    world.connect(endpoint=NOBODY_LISTENS)
    with remembering(world) as send:
        world.db.collection(schema.LEASES).document(world.account).update({"epoch": world.lease().next_epoch()})
        assert send.run(Job(thread_id=world.thread_id(chat)), is_retry=False) is JobEnd.ACCOUNT_NOT_READY
    assert outcomes(capsys) == ["unreachable", "unreachable"]


def test_jobs_that_find_the_owner_away_leave_one_job_an_interval(world: World) -> None:
    chat = world.chat()
    world.accept(world.write(chat))
    world.connect(endpoint=NOBODY_LISTENS)
    interval_s = world.settings.timing.away_s
    before, began = world.tasks.counters().get("created", 0), time.monotonic()
    for _ in range(20):
        assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    intervals = 2 + int((time.monotonic() - began) / interval_s)
    assert 1 <= world.tasks.counters()["created"] - before <= intervals < 20


def test_what_is_old_enough_is_left_to_the_sweeper(world: World) -> None:
    chat = world.chat()
    age = timedelta(seconds=world.settings.timing.sweep_age_s * 2)
    world.accept(world.write(chat, createdAt=datetime.now(UTC) - age))
    world.connect(endpoint=NOBODY_LISTENS)
    before = world.tasks.counters().get("created", 0)
    assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    assert world.tasks.counters().get("created", 0) == before


def test_a_connector_of_another_version_is_called_again_when_it_has_been_deployed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = world.chat()
    request = world.write(chat)
    message = contract.complaint("9")
    refusal = json.dumps({"error": {"code": "contract_unsupported", "message": message}})
    world.connector.script(key_of(request), Answer(status=400, body=refusal, reaches_wire=False))
    world.accept(request)
    world.send_job(chat)
    waiting = world.request(request)
    assert (waiting["status"], waiting["attempts"]) == ("queued", 0)
    assert "400 contract_unsupported" in waiting["lastError"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["version"], line["served"]) for line in lines if "connector refused a call" in line["message"]]
    assert told == [(contract.VERSION, contract.SERVED)]
    assert [alert["type"] for alert in world.alerts()] == ["connector_refused"]
    assert world.wait_for(request, "sent")["attempts"] == 1


def test_a_connector_of_the_version_before_is_served(world: World) -> None:
    """It heeds neither the header nor `isReply`, and answers with the outcome alone."""
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(body=json.dumps({"outcome": "sent"})))
    world.accept(request)
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"
    (post,) = world.connector.posts_of(world.account)
    known_to_version_1 = {"accountId", "chatId", "waMessageKey", "text", "notAfter"}
    assert known_to_version_1 < set(post)
    assert world.connector.keys(world.account) == [key_of(request)]


def test_every_call_to_the_connector_names_its_contract_version(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.send_job(chat)
    assert world.connector.versions[world.account] == {str(contract.VERSION)}


def test_no_text_and_no_token_goes_to_an_endpoint_outside_the_allow_list(world: World) -> None:
    chat = world.chat()
    first, second = world.write(chat), world.write(chat)
    world.connect(endpoint=world.endpoint.replace("127.0.0.1", "localhost"))
    for request in (first, second):
        world.accept(request)
        assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    assert world.connector.posts_of(world.account) == []
    assert world.request(first)["lastError"].startswith("endpoint_not_allowed: ")
    assert (world.request(first)["status"], world.request(first).get("attempts", 0)) == ("queued", 0)
    assert [alert["type"] for alert in world.alerts()] == ["endpoint_not_allowed"]


def test_a_connector_that_refuses_our_token_burns_no_attempt_and_alerts_once(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(status=401, reaches_wire=False))
    world.accept(request)
    world.send_job(chat)
    waiting = world.request(request)
    assert (waiting["status"], waiting["attempts"]) == ("queued", 0)
    assert waiting["lastError"].startswith("connector_refused: ")
    assert [alert["type"] for alert in world.alerts()] == ["connector_refused"]


@pytest.mark.parametrize(
    ("body", "status", "attempts", "error"),
    [
        ({"error": {"code": "unauthenticated", "message": "no keys yet"}}, "queued", 0, "connector_refused: "),
        ({"error": {"code": "engine_failed", "message": "who knows"}}, "sending", 1, "outcome_unknown: "),
        ({}, "sending", 1, "outcome_unknown: "),
    ],
)
def test_only_a_503_of_a_connector_that_cannot_check_the_token_is_proven_to_have_sent_nothing(
    world: World, body: dict[str, object], status: str, attempts: int, error: str
) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(status=503, body=json.dumps(body), reaches_wire=False))
    world.accept(request)
    world.send_job(chat)
    waiting = world.request(request)
    assert (waiting["status"], waiting["attempts"]) == (status, attempts)
    assert waiting["lastError"].startswith(error)


@pytest.mark.parametrize(("status", "attempts"), [(408, 2), (429, 1)])
def test_a_platforms_answer_in_the_connectors_place_means_not_sent_and_no_alert(
    world: World, status: int, attempts: int
) -> None:
    """429 is that of a service that has no instance just now."""
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(status=status, reaches_wire=False))
    world.trigger_outbox(request)
    assert world.wait_for(request, "sent")["attempts"] == attempts
    assert world.alerts() == []


def test_a_metadata_server_that_gives_no_token_burns_no_attempt(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    tokens = world.services.send.connector.tokens
    object.__setattr__(world.services.send.connector, "tokens", NoTokens())
    try:
        world.send_job(chat)
    finally:
        object.__setattr__(world.services.send.connector, "tokens", tokens)
    assert (world.request(request)["status"], world.request(request)["attempts"]) == ("queued", 0)
    world.wait_for(request, "sent")
