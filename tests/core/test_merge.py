"""Two threads of one person become one: what stands on it, and who may write to it."""

from datetime import UTC, datetime, timedelta

import pytest

from core import merge
from core.ids import AccountId, ChatId, ThreadId, WaMessageId
from core.moment import Moment
from core.thread import Thread

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
OLD = ThreadId("shop_40712345678@s.whatsapp.net")


def at(minutes: int) -> Moment:
    return Moment(at=AT + timedelta(minutes=minutes), received_at=AT + timedelta(minutes=minutes))


def thread(last: int, text: str, **fields: object) -> Thread:
    shown = {"last": at(last), "last_message_id": WaMessageId(text), "last_message_preview": text}
    return Thread(**(shown | fields))  # type: ignore[arg-type] # a test's fields


def rights(owner: str | None = None, writers: tuple[str, ...] = (), *, locked: bool = False) -> dict[str, object]:
    return {
        "ownerUid": owner,
        "ownerEmail": f"{owner}@example.com" if owner else None,
        "coWriterUids": list(writers),
        "locked": locked,
        "lockedReason": f"{owner}'s" if locked else None,
        "createdAt": AT,
    }


def test_the_newest_message_of_both_is_the_last_one() -> None:
    for canonical, old in (
        (thread(1, "older"), thread(2, "newer")),
        (thread(2, "newer"), thread(1, "older")),
        (Thread(), thread(2, "newer")),
        (thread(2, "newer"), Thread()),
    ):
        joined = merge.joined(canonical, old, OLD)
        assert (joined.last_message_at, joined.last_message_id) == (AT + timedelta(minutes=2), "newer")
        assert joined.last_message_preview == "newer"


def test_a_reply_in_one_answers_what_was_written_before_it_in_the_other() -> None:
    asked = thread(1, "question", unread=1, contact_wrote=at(1))
    answered = thread(2, "answer", replied=at(2))
    assert merge.joined(answered, asked, OLD).unread == 0
    assert merge.joined(asked, answered, OLD).unread == 0


def test_what_is_unread_in_either_is_counted_over_both() -> None:
    asked = thread(3, "question", unread=1, contact_wrote=at(3))
    answered = thread(2, "answer", replied=at(2))
    assert merge.joined(answered, asked, OLD).unread is None


def test_the_joined_thread_remembers_its_former_names() -> None:
    earlier = ThreadId("shop_40700000000@s.whatsapp.net")
    assert merge.joined(Thread(merged_from=(earlier,)), Thread(), OLD).merged_from == (earlier, OLD)
    assert merge.joined(Thread(merged_from=(OLD,)), Thread(), OLD).merged_from == (OLD,)


def test_what_the_canonical_thread_does_not_know_it_takes_from_the_old_one() -> None:
    joined = merge.joined(Thread(), Thread(client_display_name="Ana", phone="+40712345678"), OLD)
    assert (joined.client_display_name, joined.phone) == ("Ana", "+40712345678")


@pytest.mark.parametrize(
    ("canonical", "old", "owner", "writers", "locked"),
    [
        (rights(), rights("ana", ("bob",)), "ana", ["bob"], False),
        (rights("ana"), rights(), "ana", [], False),
        (rights("ana"), rights("bob"), "ana", ["bob"], False),
        (rights("ana"), rights("bob", locked=True), "bob", ["ana"], True),
        (rights("ana", locked=True), rights("bob"), "ana", ["bob"], True),
        (rights("ana", ("eve",), locked=True), rights("bob", ("eve",), locked=True), "ana", ["eve", "bob"], True),
        (rights(), rights(locked=True), None, [], True),
        (rights(locked=True), rights("bob"), None, ["bob"], True),
    ],
)
def test_nobody_loses_a_right_and_nothing_that_is_locked_opens(
    canonical: dict[str, object], old: dict[str, object], owner: str | None, writers: list[str], locked: bool
) -> None:
    joined = merge.joined_rights(canonical, old)
    assert (joined["ownerUid"], joined["coWriterUids"], joined["locked"]) == (owner, writers, locked)
    assert (joined["ownerEmail"] is None) == (owner is None)


def test_a_thread_that_does_not_say_that_it_is_open_counts_as_locked() -> None:
    assert merge.joined_rights(rights("ana"), {"ownerUid": "bob"})["locked"] is True


def test_a_canonical_thread_that_is_opened_by_the_merge_keeps_all_fields_of_the_old_one() -> None:
    old = {"threadId": OLD, "chatId": "40712345678@s.whatsapp.net", "ownerUid": "ana", "aLaterField": 7}
    opened = merge.opened(AccountId("shop"), ChatId("990001@lid"), old)
    assert (opened["threadId"], opened["chatId"]) == ("shop_990001@lid", "990001@lid")
    assert (opened["ownerUid"], opened["aLaterField"], opened["mergedInto"]) == ("ana", 7, None)
