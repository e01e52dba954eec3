"""`thread`: the newest messages of a chat, and what comes after them."""

import json
import signal

import pytest

from core import ids, schema
from core.ids import ChatId, ThreadId
from tests.connector_admin.inbox import Inbox
from tests.waiting import wait_until

NOBODY = "nobody_40712345678@s.whatsapp.net"


def a_chat(inbox: Inbox) -> ThreadId:
    thread = inbox.chat(inbox.account(), ownerEmail="ana@example.com")
    inbox.received(thread, "Is the car ready?", age_s=60)
    inbox.request(thread, "Tomorrow at ten.", age_s=30)
    return thread


def test_messages_stand_oldest_first_with_who_wrote_them_and_how_far_they_came(inbox: Inbox) -> None:
    out = inbox.admin.does("thread", a_chat(inbox))
    head, *_, question, answer = out.splitlines()
    assert "owner ana@example.com" in head
    assert question.split(maxsplit=1)[1].split() == ["in", "Ion", "Is", "the", "car", "ready?"]
    assert answer.split(maxsplit=1)[1].split() == ["out", "ana@example.com", "queued", "Tomorrow", "at", "ten."]


def test_texts_can_be_hidden(inbox: Inbox) -> None:
    thread = a_chat(inbox)
    assert "car" not in inbox.admin.does("thread", thread, "--no-text")
    found = inbox.admin.data("thread", thread, "--no-text")
    assert [("text" in each, each["direction"]) for each in found] == [(False, "in"), (False, "out")]
    assert [each["text"] for each in inbox.admin.data("thread", thread)] == ["Is the car ready?", "Tomorrow at ten."]


def test_only_as_many_as_were_asked_for(inbox: Inbox) -> None:
    (found,) = inbox.admin.data("thread", a_chat(inbox), "--count", "1")
    assert found["text"] == "Tomorrow at ten."


def test_a_contacts_text_cannot_steer_the_terminal(inbox: Inbox) -> None:
    thread = inbox.chat(inbox.account())
    inbox.received(thread, "\x1b]0;mine\x07 \x9b2J ‮abc\nnext", name="\x1b[31mRed")
    out = inbox.admin.does("thread", thread)
    assert not {"\x1b", "\x07", "\x9b", "‮"} & set(out)
    assert "�[31mRed" in out


def test_an_empty_chat_is_said_to_be_empty(inbox: Inbox) -> None:
    thread = inbox.chat(inbox.account())
    assert "No message stands in it." in inbox.admin.does("thread", thread)


@pytest.mark.parametrize("is_former", [True, False])
def test_a_thread_that_was_merged_shows_the_messages_of_both_names(inbox: Inbox, *, is_former: bool) -> None:
    former = a_chat(inbox)
    account, _ = ids.parse_thread_id(former)
    joined = ids.thread_id(account, ChatId("110000000000001@lid"))
    document = inbox.get(schema.THREADS, former)
    inbox.put(schema.THREADS, joined, document | {"threadId": joined, "mergedFrom": [former]})
    inbox.put(schema.THREADS, former, document | {"mergedInto": joined, "ownerEmail": None})
    inbox.received(joined, "Thank you.")
    out = inbox.admin.does("thread", former if is_former else joined)
    assert "owner ana@example.com" in out
    assert [line.rpartition("  ")[2] for line in out.splitlines()[-3:]] == [
        "Is the car ready?",
        "Tomorrow at ten.",
        "Thank you.",
    ]


def test_following_shows_new_messages_and_deliveries_until_it_is_interrupted(inbox: Inbox) -> None:
    thread = a_chat(inbox)
    following = inbox.admin.begin("thread", thread, "--follow", "--json")
    try:
        assert following.stdout is not None
        lines = [following.stdout.readline(), following.stdout.readline()]
        sent = json.loads(lines[1])
        inbox.db.collection(schema.MESSAGES).document(sent["waMessageId"]).update({"delivery": "read"})
        assert json.loads(following.stdout.readline()) | {"delivery": "queued"} == sent
        inbox.received(thread, "Thank you.")
        assert json.loads(following.stdout.readline())["text"] == "Thank you."
        following.send_signal(signal.SIGINT)
        out, errors = following.communicate(timeout=30)
        assert (following.returncode, out, errors.strip()) == (130, "", "")
    finally:
        following.kill()
        following.communicate()


def test_a_reader_that_goes_ends_it_in_silence(inbox: Inbox) -> None:
    thread = a_chat(inbox)
    following = inbox.admin.begin("thread", thread, "--follow")
    assert following.stdout is not None
    assert following.stderr is not None
    following.stdout.readline()
    following.stdout.close()

    def ended() -> bool:
        inbox.received(thread, "More.")
        return following.poll() is not None

    try:
        wait_until(ended, "the command has ended")
        assert (following.returncode, following.stderr.read()) == (0, "")
    finally:
        following.kill()
        following.wait()
        following.stderr.close()


def test_a_thread_that_is_not_there_is_not_found(inbox: Inbox) -> None:
    assert "there is no such thread" in inbox.admin.fails(3, "thread", NOBODY)


def test_what_is_no_thread_is_wrong_usage(inbox: Inbox) -> None:
    assert "chatId must be" in inbox.admin.fails(2, "thread", "sales-1")
