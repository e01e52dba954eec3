from datetime import UTC, datetime, timedelta

import pytest

from core.turns import next_turn

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
INTERVAL_S = 8.0


@pytest.mark.parametrize("late_s", [-1.9, 0.0, 0.1, 5.9])
def test_what_is_done_at_a_turn_finds_the_one_after_it(late_s: float) -> None:
    number, turn = next_turn("chat", AT, INTERVAL_S)
    assert next_turn("chat", turn + timedelta(seconds=late_s), INTERVAL_S) == (
        number + 1,
        turn + timedelta(seconds=INTERVAL_S),
    )


@pytest.mark.parametrize("later_s", [0.0, 1.0, 3.0, 6.5, 7.9])
def test_a_turn_is_soon_but_never_now(later_s: float) -> None:
    at = AT + timedelta(seconds=later_s)
    wait_s = (next_turn("chat", at, INTERVAL_S)[1] - at).total_seconds()
    assert wait_s + 1e-3 >= INTERVAL_S * 0.25
    assert wait_s <= INTERVAL_S * 1.25


def test_names_have_turns_of_their_own() -> None:
    turns = {next_turn(f"chat {number}", AT, INTERVAL_S)[1] for number in range(100)}
    assert len(turns) > 90
