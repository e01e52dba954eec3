"""When a phone is pinged, when it is missed, and how seldom that it was seen is written."""

from datetime import UTC, datetime, timedelta

import pytest

from core.phone_sight import PhoneRecord, parse_phone

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def seen_at_start() -> PhoneRecord:
    return parse_phone({"phoneLastSeenAt": START})


@pytest.mark.parametrize(
    ("days", "is_pinged", "is_missed"),
    [
        (0, False, False),
        (9.9, False, False),
        (10, True, False),
        (11.9, True, False),
        (12, True, True),
        (20, True, True),
    ],
)
def test_a_phone_is_pinged_from_the_tenth_day_and_missed_from_the_twelfth(
    days: float, is_pinged: bool, is_missed: bool
) -> None:
    record = seen_at_start()
    assert record.must_be_pinged(START + days * DAY) == is_pinged
    assert record.is_missed(START + days * DAY) == is_missed
    assert record.unlinked_at() == START + 14 * DAY


def test_a_phone_is_pinged_once_a_day() -> None:
    record = seen_at_start()
    record.was_pinged(START + 10 * DAY)
    assert not record.must_be_pinged(START + 10.9 * DAY)
    assert record.must_be_pinged(START + 11 * DAY)


def test_a_phone_that_is_seen_is_not_missed_any_more() -> None:
    record = seen_at_start()
    record.seen(START + 13 * DAY, START + 13 * DAY)
    assert not record.must_be_pinged(START + 13 * DAY)
    assert not record.is_missed(START + 20 * DAY)


def test_an_older_word_and_one_from_the_future_change_nothing() -> None:
    record = seen_at_start()
    record.seen(START - DAY, START + DAY)
    assert record.last_seen_at == START
    record.seen(START + 400 * DAY, START + DAY)
    assert record.last_seen_at == START + DAY


def test_that_a_phone_was_seen_is_written_once_an_hour() -> None:
    record = seen_at_start()
    assert record.due_fields() == {}
    record.seen(START + timedelta(minutes=59), START + DAY)
    assert record.due_fields() == {}
    hour_later = START + timedelta(hours=1)
    record.seen(hour_later, START + DAY)
    assert record.due_fields() == {"phoneLastSeenAt": hour_later}
    assert record.due_fields() == {}


def test_the_count_of_an_account_without_a_time_begins_when_it_is_connected() -> None:
    record = parse_phone({"phoneLastSeenAt": None})
    assert not record.is_missed(START + 100 * DAY)
    assert record.unlinked_at() is None
    record.begin(START)
    assert record.due_fields() == {"phoneLastSeenAt": START}
    assert record.is_missed(START + 12 * DAY)


def test_a_known_time_is_not_begun_anew() -> None:
    record = seen_at_start()
    record.begin(START + 11 * DAY)
    assert record.last_seen_at == START
