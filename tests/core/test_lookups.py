"""The limits of look-ups: how many at once, how many afterwards, and how long an answer is stored."""

from datetime import UTC, datetime, timedelta

import pytest

from core import lookups
from core.ids import AccountId, ChatId
from core.lookups import ACCOUNT_SHARE, PERSON_SHARE, NothingLeft, Share

AT = datetime(2026, 1, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def granted(share: Share, asked_each: timedelta, for_so_long: timedelta) -> int:
    """How many look-ups somebody gets who asks for one each so often."""
    spent, at, count = None, AT, 0
    while at < AT + for_so_long:
        try:
            spent = share.spend(spent, at)
            count += 1
        except NothingLeft:
            pass
        at += asked_each
    return count


@pytest.mark.parametrize(("share", "most"), [(ACCOUNT_SHARE, 260), (PERSON_SHARE, 130)])
def test_whoever_asks_without_end_gets_few_a_day(share: Share, most: int) -> None:
    assert granted(share, timedelta(seconds=20), DAY) <= most


def test_a_person_who_begins_a_conversation_now_and_then_is_never_refused() -> None:
    assert granted(PERSON_SHARE, timedelta(minutes=15), timedelta(hours=8)) == 32


def test_after_a_quiet_time_there_are_no_more_at_once_than_at_first() -> None:
    spent = PERSON_SHARE.spend(None, AT)
    later = AT + timedelta(days=7)
    for _ in range(10):
        spent = PERSON_SHARE.spend(spent, later)
    with pytest.raises(NothingLeft) as left:
        PERSON_SHARE.spend(spent, later)
    assert left.value.wait == timedelta(minutes=12)
    assert PERSON_SHARE.spend(spent, later + left.value.wait)


def test_a_look_up_is_under_way_until_it_has_an_answer_or_has_taken_too_long() -> None:
    asked = lookups.asked_fields(AccountId("shop"), "uid", None, AT)
    assert lookups.parse(asked).is_under_way(AT + timedelta(seconds=10))
    assert not lookups.parse(asked).is_under_way(AT + timedelta(seconds=16))
    assert not lookups.parse({**asked, **lookups.FAILED_FIELDS}).is_under_way(AT)
    chat = ChatId("40712345678@s.whatsapp.net")
    answered = lookups.parse({**asked, **lookups.answered_fields(chat, AT)})
    assert (answered.is_under_way(AT), answered.is_answered, answered.chat) == (False, True, chat)
    nobody = lookups.parse({**asked, **lookups.answered_fields(None, AT)})
    assert (nobody.is_answered, nobody.chat) == (True, None)


def test_garbage_is_no_answer() -> None:
    found = lookups.parse({"askedAt": "x", "answeredAt": 1, "chatId": 7})
    assert (found.asked_at, found.is_answered, found.chat) == (None, False, None)
