"""What is missing is joined, filled by rows that stand, and read back by whoever owns the account next."""

from datetime import UTC, datetime, timedelta

import pytest

from core.gap import Gap, is_named, parse_gap
from core.ids import EventId

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B = EventId("shop_1@lid_A-in"), EventId("shop_1@lid_B-in")


def gap(*, lost: int = 0, awaited: tuple[EventId, ...] = (), after_s: int = 0, heard_ms: int = 0) -> Gap:
    start = NOON + timedelta(seconds=after_s)
    return Gap(start=start, end=start + timedelta(hours=1), lost=lost, awaited=frozenset(awaited), heard_ms=heard_ms)


def test_two_gaps_are_one_from_the_first_start_to_the_last_end() -> None:
    joined = gap(lost=1, awaited=(A,), after_s=60, heard_ms=5).joined(gap(lost=2, awaited=(A, B), heard_ms=3))
    assert (joined.start, joined.end) == (NOON, NOON + timedelta(hours=1, seconds=60))
    assert (joined.lost, joined.awaited, joined.heard_ms) == (3, frozenset({A, B}), 5)


@pytest.mark.parametrize(
    ("missing", "standing", "from_history", "is_filled"),
    [
        (gap(lost=2), {}, 1, False),
        (gap(lost=2), {}, 2, True),
        (gap(awaited=(A, B)), {A: False}, 5, False),
        (gap(awaited=(A, B)), {A: False, B: False}, 0, True),
        (gap(lost=1, awaited=(A,)), {A: True}, 1, False),
        (gap(lost=1, awaited=(A,)), {A: True}, 2, True),
    ],
)
def test_a_gap_is_filled_when_each_awaited_row_stands_and_as_many_others_as_were_lost(
    missing: Gap, standing: dict[EventId, bool], from_history: int, is_filled: bool
) -> None:
    assert missing.is_filled(standing, from_history) is is_filled


def test_more_awaited_rows_than_a_document_should_hold_are_counted_alone() -> None:
    many = gap(awaited=tuple(EventId(f"row-{number:04}") for number in range(600)))
    joined = gap(lost=1).joined(many)
    assert (joined.lost, len(joined.awaited)) == (101, 500)


NUMBER, OTHER_NUMBER = "40700000001@s.whatsapp.net", "40700000002@s.whatsapp.net"
LID, OTHER_LID, GROUP, OTHER_GROUP = "990001@lid", "990002@lid", "1@g.us", "2@g.us"


@pytest.mark.parametrize(
    ("awaited_under", "names", "is_it"),
    [
        (NUMBER, [NUMBER], True),
        (NUMBER, [LID, LID, NUMBER], True),
        (NUMBER, [LID, LID, "40700000001:99@hosted"], True),
        (NUMBER, [LID, LID, ""], True),
        (LID, [NUMBER, NUMBER, ""], True),
        (LID, [NUMBER, NUMBER, LID], True),
        (NUMBER, [LID, LID, OTHER_NUMBER], False),
        (NUMBER, [OTHER_NUMBER], False),
        (LID, [OTHER_LID], False),
        (LID, [OTHER_LID, NUMBER], False),
        (GROUP, [GROUP], True),
        (GROUP, [OTHER_GROUP], False),
        (LID, [GROUP], False),
        (GROUP, [LID], False),
        (LID, [], False),
    ],
)
def test_a_row_is_the_awaited_message_under_any_name_that_proves_no_other_person(
    awaited_under: str, names: list[str], is_it: bool
) -> None:
    assert is_named(EventId(f"shop_{awaited_under}_A_1-in"), names) is is_it


def test_awaited_rows_are_found_by_the_keys_of_their_messages() -> None:
    under_number = EventId(f"shop_{NUMBER}_A_1-in")
    keys = gap(awaited=(under_number, A, B)).awaited_keys
    assert keys == {"A_1-in": (under_number,), "A-in": (A,), "B-in": (B,)}


def test_the_next_owner_reads_it_back() -> None:
    noted = gap(lost=1, awaited=(A,), heard_ms=7)
    assert parse_gap(noted.document()) == noted


@pytest.mark.parametrize("value", [None, "gap", {}, {"startAt": NOON, "endAt": NOON, "lost": "1"}])
def test_what_is_no_gap_reads_as_none(value: object) -> None:
    assert parse_gap(value) is None


def test_its_words_say_what_is_missing() -> None:
    assert gap(lost=1, awaited=(A, B)).words() == (
        "1 message announced by WhatsApp never came, 2 messages could not be decrypted"
    )
