from datetime import UTC, datetime, timedelta

from core import thread
from core.ids import AccountId, ChatId
from core.thread import Thread

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
S = timedelta(seconds=1)


def message(before: Thread, text: str, sent_at: datetime, received_at: datetime | None = None) -> Thread:
    return thread.after_message(
        before, sent_at=sent_at, received_at=received_at or sent_at, text=text, sender_name=None
    )


def test_each_message_counts_as_unread_and_moves_the_preview() -> None:
    after = message(message(Thread(), "one", AT), "two", AT + S)
    assert (after.unread, after.last_message_preview, after.last_message_at) == (2, "two", AT + S)


def test_a_late_message_counts_but_never_moves_the_preview_backward() -> None:
    after = message(message(Thread(), "new", AT + 5 * S), "late", AT, received_at=AT + 9 * S)
    assert (after.unread, after.last_message_preview, after.last_message_at) == (2, "new", AT + 5 * S)


def test_within_one_second_of_whatsapps_the_order_of_arrival_decides() -> None:
    first = message(Thread(), "first", AT.replace(microsecond=900_000), received_at=AT + S)
    assert (
        message(first, "second", AT.replace(microsecond=1_000), received_at=AT + 2 * S).last_message_preview == "second"
    )
    assert message(first, "older", AT.replace(microsecond=950_000), received_at=AT).last_message_preview == "first"


def test_a_reply_sets_the_unread_count_to_zero_even_when_it_is_older_than_the_preview() -> None:
    replied = thread.after_reply(message(Thread(), "new", AT + S), sent_at=AT, received_at=AT, text="reply")
    assert (replied.unread, replied.last_message_preview) == (0, "new")


def test_a_message_after_the_reply_counts_again() -> None:
    replied = thread.after_reply(message(Thread(), "one", AT), sent_at=AT + S, received_at=AT + S, text="reply")
    assert message(replied, "two", AT + 2 * S).unread == 1


def test_only_what_changed_is_written() -> None:
    before = message(Thread(client_display_name="Ana"), "new", AT + S)
    after = message(before, "late", AT)
    assert thread.changed_fields(before, after) == {"unreadCountGlobal": 2}
    assert thread.changed_fields(before, before) == {}


def test_a_contacts_name_is_taken_over_and_kept() -> None:
    named = thread.after_message(Thread(), sent_at=AT, received_at=AT, text="x", sender_name="Ana")
    assert named.client_display_name == "Ana"
    assert message(named, "y", AT).client_display_name == "Ana"


def test_a_new_thread_holds_every_field_that_queries_look_for() -> None:
    document = thread.new_document(AccountId("shop"), ChatId("40712345678@s.whatsapp.net"), Thread(), AT)
    assert document["threadId"] == "shop_40712345678@s.whatsapp.net"
    assert document["clientPhoneE164"] == "+40712345678"
    assert (document["ownerUid"], document["locked"], document["coWriterUids"]) == (None, False, [])
    assert (document["unreadCountGlobal"], document["lastMessageAt"], document["kind"]) == (0, None, "direct")


def test_a_thread_reads_back_as_it_was_written_and_survives_odd_types() -> None:
    after = message(Thread(client_display_name="Ana"), "new", AT)
    written = thread.new_document(AccountId("a"), ChatId("99100@lid"), after, AT)
    assert thread.parse(written) == after
    assert thread.parse({"unreadCountGlobal": "3", "lastMessageAt": "x"}) == Thread()
