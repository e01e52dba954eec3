"""`resolve`: what is known, and decisions that leave what the callable leaves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.send_queue import Job, SendQueue
from core import ids, schema
from core.decision import DecidedBy, Decision, resent
from core.ids import RequestId, checked_request_id
from core.outbox import Request, parse_request
from tests.backend.contact import Contact
from tests.backend.test_decisions import given_up, left_sending
from tests.backend.world import World, key_of
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine

BY = DecidedBy(uid="command-line", email="root@example.com")
DECISIONS = {"resend": Decision.RESEND, "mark-sent": Decision.MARK_SENT, "mark-failed": Decision.MARK_FAILED}


class SilentQueue(SendQueue):
    """Wakes nobody: what is sent again stays as it was written."""

    def enqueue(self, job: Job, name: str, at: datetime | None = None) -> bool:  # noqa: ARG002 # the queue's own
        return True


def left(world: World, request: RequestId) -> list[Any]:
    """Request, message, alert and what was sent in its place, with what differs from request to request named."""
    document = world.request(request)
    thread = document["threadId"]
    resent = world.db.collection(schema.OUTBOX).document(document.get("resentAs") or "none").get()
    alert = world.alert_of("outcome_unknown", request)
    found = [document, world.message(document["chatId"], key_of(request)), alert, resent.to_dict()]
    assert resent.exists == (document["decision"] == "resend")
    names = {
        request: "request",
        thread: "thread",
        document["chatId"]: "chat",
        document["clientMessageId"]: "client message id",
    }
    return [{name: named(value, names) for name, value in each.items()} for each in found if each is not None]


def named(value: object, names: dict[str, str]) -> object:
    if isinstance(value, datetime):
        return "a time"
    if isinstance(value, dict):
        return {name: named(each, names) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    for name, word in names.items():
        value = value.replace(name, word)
    return "an id of its own" if "thread_" in value or "resend-" in value or len(value) in (22, 32, 64) else value


@pytest.mark.parametrize("word", DECISIONS)
def test_the_callable_and_the_command_leave_the_same_documents(world: World, word: str) -> None:
    one, other = given_up(world, world.chat()), given_up(world, world.chat())
    quiet = replace(world.services.decisions, queue=SilentQueue(world.settings))
    quiet.resolve(*checked_request_id(one), DECISIONS[word], by=BY)
    admin = CommandLine(project=world.settings.project)
    out = admin.does("resolve", other, word, "--by", "root@example.com")
    assert left(world, other) == left(world, one)
    assert f"Decided: {DECISIONS[word]}." in out

    before = left(world, other)
    admin.does("resolve", other, word)
    assert left(world, other) == before


@pytest.mark.parametrize(
    ("word", "unread", "shown"),
    [
        ("mark-sent", 0, "hello"),
        ("mark-failed", 1, "Not sent: hello"),
        ("resend", 1, "Perhaps not sent: hello"),
    ],
)
def test_a_decision_leaves_the_question_answered_or_unread_and_says_so_in_the_list(
    world: World, word: str, unread: int, shown: str
) -> None:
    chat = world.chat()
    world.trigger_ingest(world.receive(chat, "question", at=datetime.now(UTC) - timedelta(minutes=1)))
    request = given_up(world, chat)
    CommandLine(project=world.settings.project).does("resolve", request, word)
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (unread, shown)


def test_what_is_marked_failed_before_its_attempts_are_used_up_leaves_its_question_unread(world: World) -> None:
    chat = world.chat()
    for text in ("one", "two"):
        world.trigger_ingest(world.receive(chat, text, at=datetime.now(UTC) - timedelta(minutes=1)))
    request = left_sending(world, chat)
    assert world.thread(chat)["unreadCountGlobal"] == 0
    CommandLine(project=world.settings.project).does("resolve", request, "mark-failed")
    thread = world.thread(chat)
    assert (thread["unreadCountGlobal"], thread["lastMessagePreview"]) == (2, "Not sent: hello")


def test_a_decision_about_a_message_of_a_thread_that_was_merged_moves_the_joined_thread(world: World) -> None:
    contact = Contact(world)
    contact.writes(contact.number, "one")
    request = given_up(world, contact.number)
    contact.writes(contact.lid, "two")
    CommandLine(project=world.settings.project).does("resolve", request, "mark-sent")
    assert (contact.thread["unreadCountGlobal"], contact.old["unreadCountGlobal"]) == (1, 0)


def test_without_a_decision_it_says_what_is_known_and_changes_nothing(inbox: Inbox) -> None:
    request = inbox.uncertain(inbox.chat(inbox.account()))
    before = inbox.get(schema.OUTBOX, request)
    out = inbox.admin.does("resolve", request)
    assert "outcome_unknown: no answer in 8 attempts" in out
    assert "resolve REQUEST_ID resend|mark-sent|mark-failed" in " ".join(out.split())
    found = inbox.admin.data("resolve", request)
    assert (found["status"], found["delivery"], found["decision"]) == ("failed", "failed", None)
    assert inbox.get(schema.OUTBOX, request) == before


def test_who_looks_at_the_phone_is_told_which_message_it_is_and_not_its_text(inbox: Inbox) -> None:
    request = inbox.uncertain(inbox.chat(inbox.account()))
    out, document = inbox.admin.does("resolve", request), inbox.get(schema.OUTBOX, request)
    shown = dict(line.split(maxsplit=1) for line in out.splitlines() if len(line.split()) > 1)
    assert shown["waMessageKey"] == ids.outbound_key(request)
    assert shown["createdAt"] == document["createdAt"].isoformat()
    assert (shown["createdByUid"], shown["createdByEmail"]) == ("uid-1", "ana@example.com")
    assert document["text"] not in out


def test_a_decision_answers_with_data_too_and_says_who_made_it(inbox: Inbox) -> None:
    request = inbox.uncertain(inbox.chat(inbox.account()))
    found = inbox.admin.data("resolve", request, "mark-sent", "--by", "root@example.com")
    assert (found["decision"], found["decidedByUid"]) == ("markSent", "command-line")
    assert found["decidedByEmail"] == "root@example.com"
    assert found["decidedAt"] == inbox.get(schema.OUTBOX, request)["decidedAt"].isoformat()


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"status": "queued"}, "the message waits to be sent"),
        ({"status": "sent"}, "WhatsApp has taken the message"),
        ({"status": "failed", "lastError": "expired: too old"}, "the message provably did not leave"),
    ],
)
def test_where_all_is_known_nothing_is_decided(inbox: Inbox, fields: dict[str, Any], detail: str) -> None:
    request = inbox.request(inbox.chat(inbox.account()), **fields)
    before = inbox.get(schema.OUTBOX, request)
    assert detail in " ".join(inbox.admin.does("resolve", request).split())
    assert detail in inbox.admin.fails(1, "resolve", request, "mark-failed")
    assert inbox.get(schema.OUTBOX, request) == before


def test_what_is_still_tried_is_not_offered_to_be_resent_and_not_resent(inbox: Inbox) -> None:
    request = inbox.request(inbox.chat(inbox.account()), status="sending", lastError="outcome_unknown: no answer")
    before = inbox.get(schema.OUTBOX, request)
    assert "resolve REQUEST_ID mark-sent|mark-failed`" in " ".join(inbox.admin.does("resolve", request).split())
    assert "under its own id" in " ".join(inbox.admin.fails(1, "resolve", request, "resend").split())
    assert inbox.get(schema.OUTBOX, request) == before


def test_a_request_in_the_place_of_what_would_be_sent_again_is_named(inbox: Inbox) -> None:
    request = inbox.uncertain(inbox.chat(inbox.account()))
    parsed = parse_request(request, inbox.get(schema.OUTBOX, request))
    assert isinstance(parsed, Request)
    name, fields = resent(parsed, datetime.now(UTC))
    inbox.put(schema.OUTBOX, name, fields | {"status": "sent"})
    assert "stands already" in " ".join(inbox.admin.fails(1, "resolve", request, "resend").split())
    assert "decision" not in inbox.get(schema.OUTBOX, request)


def test_a_request_without_its_message_is_left_to_the_sweeper_first(inbox: Inbox) -> None:
    thread = inbox.chat(inbox.account())
    request = inbox.request(thread, status="sending", lastError="outcome_unknown: no answer")
    inbox.db.collection(schema.MESSAGES).document(ids.wa_message_id(thread, ids.outbound_key(request))).delete()
    assert "its message does not stand yet" in inbox.admin.fails(1, "resolve", request, "mark-sent")
    assert inbox.get(schema.OUTBOX, request)["status"] == "sending"


def test_a_request_that_is_not_there_is_not_found(inbox: Inbox) -> None:
    assert "there is no such request" in inbox.admin.fails(3, "resolve", f"a_40712345678@s.whatsapp.net_{'0' * 64}")


def test_what_is_no_request_is_wrong_usage(inbox: Inbox) -> None:
    assert "requestId must be" in inbox.admin.fails(2, "resolve", "no-request")
