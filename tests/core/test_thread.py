from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core import thread
from core.ids import AccountId, ChatId, WaMessageId
from core.moment import Moment
from core.thread import Thread

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
S = timedelta(seconds=1)


def at(seconds: float, received: float | None = None) -> Moment:
    """Seconds after AT, and when it came: at once unless said otherwise."""
    return Moment(at=AT + seconds * S, received_at=AT + (seconds if received is None else received) * S)


def message(before: Thread, text: str, written: Moment) -> Thread:
    return thread.after_message(before, WaMessageId(text), written, text=text)


def reply(before: Thread, text: str, written: Moment) -> Thread:
    return thread.after_reply(before, WaMessageId(text), written, text=text)


def test_each_message_counts_as_unread_and_moves_the_preview() -> None:
    after = message(message(Thread(), "one", at(0)), "two", at(1))
    assert (after.unread, after.last_message_preview, after.last_message_at) == (2, "two", AT + S)
    assert after.last_message_id == "two"


def test_a_late_message_counts_but_never_moves_the_preview_backward() -> None:
    after = message(message(Thread(), "new", at(5)), "late", at(0, received=9))
    assert (after.unread, after.last_message_preview, after.last_message_at) == (2, "new", AT + 5 * S)
    assert after.contact_wrote_at == AT + 5 * S


def test_within_one_second_of_whatsapps_the_order_of_arrival_decides() -> None:
    first = message(Thread(), "first", at(0.9, received=1))
    assert message(first, "second", at(0.001, received=2)).last_message_preview == "second"
    assert message(first, "older", at(0.95, received=0)).last_message_preview == "first"


def test_a_message_after_the_reply_counts_again() -> None:
    replied = reply(message(Thread(), "one", at(0)), "reply", at(1))
    assert (replied.unread, message(replied, "two", at(2)).unread) == (0, 1)


def test_only_what_changed_is_written() -> None:
    before = message(Thread(client_display_name="Ana"), "new", at(1))
    after = message(before, "late", at(0))
    assert thread.changed_fields(before, after) == {"unreadCountGlobal": 2}
    assert thread.changed_fields(before, before) == {}


@pytest.mark.parametrize(
    ("question", "unread"),
    [
        (at(-10), 0),  # before it
        (at(-10, received=10), 0),  # before it, but received after it
        (at(10), 1),
        (at(0.001, received=0.2), 0),  # in the reply's second: it came before the reply was written at 0.5
        (at(0.001, received=0.9), 1),  # in the reply's second: it came after it
        (at(0.9, received=0.4), 0),
    ],
)
def test_a_message_is_unread_exactly_where_no_newer_reply_exists(question: Moment, unread: int) -> None:
    assert message(reply(Thread(), "reply", at(0.5)), "question", question).unread == unread


def test_a_reply_that_is_learned_of_after_a_newer_question_leaves_it_to_be_counted() -> None:
    """Question 1, reply, question 2, and the reply's row or trigger comes last."""
    asked = message(message(Thread(), "question 1", at(0)), "question 2", at(10))
    late = reply(asked, "reply", at(5))
    assert (late.unread, late.replied, late.last_message_preview) == (None, at(5), "question 2")


def test_an_older_reply_after_a_newer_one_changes_nothing() -> None:
    newer = message(reply(message(Thread(), "one", at(0)), "newer", at(5)), "two", at(10))
    assert reply(newer, "older", at(1)) == newer


def test_a_reply_with_which_nothing_becomes_unread_needs_no_count() -> None:
    """Two replies whose triggers come in the other order, and a question between: all of it is answered."""
    answered = reply(message(Thread(), "question", at(2)), "second", at(3))
    assert (reply(answered, "first", at(1)).unread, reply(answered, "third", at(9)).unread) == (0, 0)


def test_what_must_be_counted_stays_so_within_one_commit() -> None:
    late = reply(message(Thread(), "question", at(10)), "reply", at(5))
    assert message(late, "another", at(11)).unread is None
    assert reply(late, "the last word", at(20)).unread == 0


def test_a_contacts_name_is_taken_over_and_kept() -> None:
    named = thread.named(Thread(), "Ana")
    assert named.client_display_name == "Ana"
    assert thread.named(message(named, "y", at(0)), None).client_display_name == "Ana"


def test_a_conversation_that_was_started_is_at_the_top_until_a_message_takes_its_place() -> None:
    started = Thread(started_at=AT)
    document = thread.new_document(AccountId("shop"), ChatId("40712345678@s.whatsapp.net"), started, AT)
    assert (document["lastMessageAt"], document["lastMessagePreview"]) == (AT, None)
    assert thread.parse(document) == replace(started, phone="+40712345678")
    for first in (reply(started, "hello", at(7)), message(started, "hello", at(-0.5, received=0.2))):
        assert (first.last_message_preview, first.started_at) == ("hello", None)
    assert reply(started, "hello", at(7)).last_message_at == AT + 7 * S


def test_a_new_thread_holds_every_field_that_queries_look_for() -> None:
    document = thread.new_document(AccountId("shop"), ChatId("40712345678@s.whatsapp.net"), Thread(), AT)
    assert document["threadId"] == "shop_40712345678@s.whatsapp.net"
    assert document["clientPhoneE164"] == "+40712345678"
    assert (document["ownerUid"], document["locked"], document["coWriterUids"]) == (None, False, [])
    assert (document["unreadCountGlobal"], document["lastMessageAt"], document["kind"]) == (0, None, "direct")


def test_a_thread_reads_back_as_it_was_written_and_survives_odd_types() -> None:
    after = reply(message(Thread(client_display_name="Ana"), "new", at(0, received=2)), "reply", at(3))
    written = thread.new_document(AccountId("a"), ChatId("99100@lid"), after, AT)
    assert thread.parse(written) == after
    assert thread.parse({"unreadCountGlobal": "3", "lastMessageAt": "x"}) == Thread()


def test_what_the_phone_has_shown_is_not_unread() -> None:
    asked = message(message(Thread(), "a", at(1)), "b", at(2))
    read = thread.read_until(asked, at(3))
    assert (asked.unread, read.unread) == (2, 0)
    assert message(read, "c", at(4)).unread == 1
    assert message(read, "it came late", at(2)).unread == 0


def test_what_came_after_the_phone_was_looked_at_is_counted() -> None:
    asked = message(message(Thread(), "a", at(1)), "b", at(5))
    assert thread.read_until(asked, at(3)).unread is None


def test_the_phone_was_looked_at_before_a_newer_reply_or_look_changes_nothing() -> None:
    read = thread.read_until(Thread(), at(5))
    assert thread.read_until(read, at(4)) == read
    answered = reply(Thread(), "reply", at(5))
    assert thread.read_until(answered, at(4)).unread == answered.unread == 0
    assert thread.read_until(answered, at(4)).seen == answered.replied


def test_a_reply_that_is_taken_back_leaves_read_what_the_phone_has_shown() -> None:
    asked = message(Thread(), "a", at(1))
    read = thread.read_until(reply(asked, "reply", at(2)), at(3))
    assert thread.recounted(replace(read, replied=None)).unread == 0
