"""Limits, warm-up and the day's count as plain values."""

from datetime import UTC, datetime, timedelta

import pytest

from core.pacing import Limits, PacingRecord, cold_today, is_reply, next_day, parse_limits, parse_record

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def spent_after(record: PacingRecord, tries: int, now: datetime) -> int:
    return sum(record.spend(now) for _ in range(tries))


def document(record: PacingRecord, now: datetime) -> dict[str, object]:
    """What stands in the account after the record was noted."""
    fields, count = record.noted_ahead(now)
    record.note(count)
    return {**fields, "firstPairedAt": record.first_paired_at}


def test_a_contact_that_wrote_within_a_day_is_replied_to() -> None:
    assert is_reply(NOON - timedelta(hours=23, minutes=59), NOON)
    assert not is_reply(NOON - timedelta(hours=24), NOON)
    assert not is_reply(None, NOON)


def test_limits_are_the_documents_and_else_the_defaults() -> None:
    own: dict[str, object] = {"sendsPerMinute": 10, "sendBurst": 3, "coldPerDay": 0, "warmUpDays": 0}
    assert parse_limits(own) == Limits(sends_per_minute=10, send_burst=3, cold_per_day=0, warm_up_days=0)
    for odd in (None, 0, -1, "10", 2.5, True):
        assert parse_limits({"sendsPerMinute": odd, "sendBurst": odd}) == Limits()
    for odd in (None, -1, "10", 2.5, True):
        assert parse_limits({"coldPerDay": odd, "warmUpDays": odd}) == Limits()


@pytest.mark.parametrize(("days", "allowed"), [(0, 4), (1, 7), (7, 27), (13, 47), (14, 50), (400, 50)])
def test_a_new_number_may_send_more_each_day(days: int, allowed: int) -> None:
    assert cold_today(Limits(), NOON - timedelta(days=days, minutes=1), NOON) == allowed


def test_a_number_of_unknown_age_is_new_and_a_limit_of_none_stays_none() -> None:
    assert cold_today(Limits(), None, NOON) == 4
    assert cold_today(Limits(cold_per_day=0), None, NOON) == 0
    assert cold_today(Limits(warm_up_days=0), None, NOON) == 50


def test_a_days_cold_messages_are_counted_and_begin_anew_at_midnight() -> None:
    record = PacingRecord(limits=Limits(cold_per_day=7, warm_up_days=0))
    assert spent_after(record, 20, NOON) == 7
    assert spent_after(record, 20, next_day(NOON) - timedelta(seconds=1)) == 0
    assert spent_after(record, 20, next_day(NOON)) == 7
    assert spent_after(record, 20, NOON) == 0  # a clock that was set back


def test_what_did_not_leave_is_given_back() -> None:
    record = PacingRecord(limits=Limits(cold_per_day=1, warm_up_days=0))
    assert record.spend(NOON)
    record.give_back()
    assert spent_after(record, 5, NOON) == 1


def test_a_new_owner_never_sends_more_than_the_day_allows_whenever_the_one_before_was_killed() -> None:
    for killed_after in range(51):
        first = PacingRecord(limits=Limits(warm_up_days=0))
        stands: dict[str, object] = {}
        for _ in range(killed_after):
            assert first.spend(NOON)
            if first.must_be_noted():
                stands = document(first, NOON)
        second = parse_record({**stands, "warmUpDays": 0})
        sent = killed_after + spent_after(second, 100, NOON)
        assert 50 - 4 <= sent <= 50


def test_a_day_of_cold_messages_costs_ten_writes() -> None:
    record, writes = PacingRecord(limits=Limits(warm_up_days=0)), 0
    while record.spend(NOON):
        if record.must_be_noted():
            document(record, NOON)
            writes += 1
    assert writes == 10


def test_an_owner_that_leaves_in_order_gives_back_what_it_noted_and_did_not_spend() -> None:
    record = PacingRecord(limits=Limits(warm_up_days=0))
    record.spend(NOON)
    assert document(record, NOON)["coldSentCount"] == 5
    assert record.left_fields() == {"coldSentOn": "2026-03-10", "coldSentCount": 1}
    assert PacingRecord().left_fields() == {}


HOUR = timedelta(hours=1)


def test_a_lock_ends_by_itself_outlives_its_owner_and_begins_anew_with_a_refusal_after_it() -> None:
    record = PacingRecord()
    assert record.refused(NOON, 2 * HOUR) == NOON + 2 * HOUR
    assert record.refused(NOON + HOUR, 2 * HOUR) == NOON + 2 * HOUR, "one that left before it was known moves no end"
    assert record.is_locked(NOON + timedelta(hours=1, minutes=59))
    assert not record.is_locked(NOON + 2 * HOUR)
    again = parse_record(record.lock_fields())
    assert again.is_locked(NOON)
    assert again.refused(NOON + 2 * HOUR, 2 * HOUR) == NOON + 4 * HOUR


def test_whatsapps_word_about_a_lock_stands_above_what_was_thought() -> None:
    record = PacingRecord()
    record.refused(NOON, 6 * HOUR)
    record.told(is_active=True, ends_at_unix_s=int((NOON + HOUR).timestamp()))
    assert record.refused(NOON, 6 * HOUR) == NOON + HOUR
    record.told(is_active=True, ends_at_unix_s=0)
    assert record.locked_until == NOON + HOUR, "it named no end"
    record.told(is_active=False, ends_at_unix_s=0)
    assert not record.is_locked(NOON)
    record.told(is_active=True, ends_at_unix_s=0)
    assert not record.is_locked(NOON), "nothing was refused"


def test_a_lock_is_written_when_it_is_news() -> None:
    record = parse_record({"coldLockedUntil": NOON + HOUR})
    assert record.lock_fields() == {}
    record.unlock()
    assert record.lock_fields() == {"coldLockedUntil": None}
    assert record.lock_fields() == {}
    record.refused(NOON, HOUR)
    assert record.lock_fields() == {"coldLockedUntil": NOON + HOUR}


def test_an_odd_document_is_read_as_nothing_sent() -> None:
    for odd in ("yesterday", 5, None):
        assert parse_record({"coldSentOn": odd, "coldSentCount": 3}).spend(NOON)
