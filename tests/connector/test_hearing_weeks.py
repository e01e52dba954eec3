"""Simulated weeks of accounts: how soon a deaf session is found, and how often one is opened anew that is only quiet."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from connector.hearing import Pattern, hour_of_week, parse_pattern
from connector.silence import LEAST_SLOTS, Silence, Step, parse_silence
from tests.connector.simulated_weeks import MONDAY, Life, around_the_clock, office

STEP = timedelta(minutes=3)
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
LEAST = timedelta(minutes=30)
LIVES = {
    "busy office": Life(per_hour=office(12)),
    "office": Life(per_hour=office(4)),
    "quiet office": Life(per_hour=office(0.4, at_night=0.02)),
    "around the clock": Life(per_hour=around_the_clock(6)),
}
DEAF_FROM = MONDAY + 6 * WEEK + timedelta(days=1, hours=8)
"""A Tuesday at 11:00 in Bucharest."""


@dataclass(kw_only=True)
class Played:
    silence: Silence = field(default_factory=lambda: Silence(least=LEAST))
    resets: list[datetime] = field(default_factory=list)

    def play(self, heard: Iterator[datetime], begins: datetime, ends: datetime) -> "Played":
        coming, at = next(heard, ends), begins
        while at < ends:
            at += STEP
            while coming < at:
                self.silence.heard(coming)
                coming = next(heard, ends + HOUR)
            step = self.silence.look(at, is_connected=True)
            if step is Step.PROBE:
                self.silence.answered()
            elif step is Step.RESET:
                self.silence.was_reset(at)
                self.resets.append(at)
        return self


@pytest.mark.parametrize(
    ("name", "most"), [("busy office", 3), ("office", 6), ("quiet office", 2), ("around the clock", 4)]
)
def test_a_quiet_account_is_seldom_taken_for_deaf_and_never_before_its_fourth_week(name: str, most: int) -> None:
    """Of two accounts, eight weeks each in which they are judged, in the fourth of which the clocks change."""
    resets = [
        reset
        for seed in (1, 2)
        for reset in Played().play(LIVES[name].heard(MONDAY, 77, seed), MONDAY, MONDAY + 11 * WEEK).resets
    ]
    assert all(reset >= MONDAY + 3 * WEEK for reset in resets)
    assert len(resets) <= most


@pytest.mark.parametrize(("name", "within_min"), [("busy office", 120), ("office", 240), ("around the clock", 360)])
def test_a_session_that_falls_deaf_on_a_tuesday_at_eleven_is_found(name: str, within_min: int) -> None:
    for seed in (1, 2, 3):
        heard = (at for at in LIVES[name].heard(MONDAY, 44, seed) if at < DEAF_FROM)
        resets = Played().play(heard, MONDAY, DEAF_FROM + timedelta(hours=12)).resets
        after = [reset for reset in resets if reset >= DEAF_FROM]
        assert after, "not found at all"
        assert after[0] - DEAF_FROM <= timedelta(minutes=within_min)


def test_a_week_of_holidays_brings_no_storm() -> None:
    """Twice on its first days, then ever more rarely: nothing at all is heard."""
    begins = MONDAY + 6 * WEEK
    heard = (at for at in LIVES["busy office"].heard(MONDAY, 42, 1) if at < begins)
    resets = [at for at in Played().play(heard, MONDAY, begins + WEEK).resets if at >= begins]
    assert 1 <= len(resets) <= 6
    assert max(sum(at.date() == day.date() for at in resets) for day in resets) <= 2


def test_what_is_learnt_survives_in_half_a_kilobyte() -> None:
    pattern = Played().play(LIVES["office"].heard(MONDAY, 21, 1), MONDAY, MONDAY + 3 * WEEK).silence.pattern
    stored = pattern.stored()
    assert sum(len(part) for part in stored.values() if isinstance(part, bytes)) == 504
    read = parse_pattern(stored)
    assert read.weeks == pattern.weeks
    assert read.means == pytest.approx(pattern.means, abs=0.001)


# Silence, step by step

TUESDAY = MONDAY + timedelta(days=1, hours=9)


def silent(missed: float, **fields: object) -> Silence:
    known = Pattern(means=[10.0] * 168, weeks=[8] * 168)
    silence = Silence(least=LEAST, pattern=known, missed=missed, lasted=timedelta(minutes=45))
    for name, value in fields.items():
        setattr(silence, name, value)
    return silence


def test_half_of_a_deaf_silence_is_asked_about_once_and_no_answer_means_deaf() -> None:
    silence = silent(LEAST_SLOTS / 2)
    assert silence.look(TUESDAY, is_connected=True) is Step.PROBE
    silence.answered()
    assert silence.look(TUESDAY, is_connected=True) is Step.NONE
    silence = silent(LEAST_SLOTS / 2)
    assert silence.look(TUESDAY, is_connected=True) is Step.PROBE
    silence.unanswered()
    assert silence.look(TUESDAY, is_connected=True) is Step.RESET


@pytest.mark.parametrize(
    ("silence", "is_connected"),
    [
        pytest.param(silent(100.0), False, id="not connected"),
        pytest.param(silent(100.0, lasted=timedelta(minutes=29)), True, id="too short"),
        pytest.param(silent(100.0, pattern=Pattern()), True, id="nothing is known"),
        pytest.param(silent(LEAST_SLOTS / 2 - 0.1), True, id="missed too little"),
        pytest.param(silent(100.0, reset_at=[TUESDAY - HOUR, TUESDAY - 23 * HOUR]), True, id="twice today"),
        pytest.param(silent(LEAST_SLOTS * 1.9, resets_in_vain=1, _was_probed=True), True, id="a reset was in vain"),
        pytest.param(silent(LEAST_SLOTS * 1.4, longest=LEAST_SLOTS, _was_probed=True), True, id="as long as others"),
    ],
)
def test_nothing_is_done(silence: Silence, is_connected: bool) -> None:
    assert silence.look(TUESDAY, is_connected=is_connected) is Step.NONE


def test_time_counts_that_was_connected_and_looked_at() -> None:
    silence = silent(0.0)
    for minute, connected in ((0, True), (3, True), (6, False), (9, True), (12, True), (72, True)):
        silence.look(TUESDAY + timedelta(minutes=minute), is_connected=connected)
    assert silence.lasted - timedelta(minutes=45) == timedelta(minutes=6)
    assert silence.missed == pytest.approx(1.0)


def test_what_comes_because_of_a_reset_says_nothing_of_how_long_silences_last() -> None:
    for after, longest in ((timedelta(minutes=1), 0.0), (HOUR, 12.0)):
        silence = silent(12.0)
        silence.was_reset(TUESDAY)
        assert silence.is_deaf
        assert silence.heard(TUESDAY + after)
        assert (silence.longest, silence.missed, silence.is_deaf) == (longest, 0.0, False)


def test_an_hour_that_was_not_watched_teaches_nothing() -> None:
    silence = Silence(least=LEAST)
    for minute in range(0, 61, 5):
        silence.look(TUESDAY + timedelta(minutes=minute), is_connected=minute >= 20)
    assert silence.pattern.weeks[hour_of_week(TUESDAY)] == 0
    for minute in range(60, 121, 5):
        silence.look(TUESDAY + timedelta(minutes=minute), is_connected=True)
    assert silence.pattern.weeks[hour_of_week(TUESDAY) + 1] == 1


def test_the_next_owner_goes_on_where_the_one_before_stood_unless_something_came() -> None:
    silence = silent(7.0, longest=3.0)
    silence.was_reset(TUESDAY)
    stored = silence.stored(TUESDAY)
    for last_synced_at, missed in ((None, 7.0), (TUESDAY - HOUR, 7.0), (TUESDAY + HOUR, 0.0)):
        read = parse_silence(stored, LEAST, last_synced_at)
        assert (read.missed, read.longest, read.resets_in_vain, read.reset_at) == (missed, 3.0, 1, [TUESDAY])
        assert read.pattern.weeks == silence.pattern.weeks


@pytest.mark.parametrize("document", [None, 7, {}, {"means": b"x", "weeks": b""}, {"missed": "much", "resetAt": 1}])
def test_what_is_not_stored_or_something_else_is_an_account_of_which_nothing_is_known(document: object) -> None:
    read = parse_silence(document, LEAST, None)
    assert (read.missed, read.resets_in_vain, read.reset_at, any(read.pattern.weeks)) == (0.0, 0, [], False)


def test_it_is_stored_when_an_hour_has_passed_and_with_each_reset_and_its_end() -> None:
    silence = silent(1.0)
    silence.look(TUESDAY, is_connected=True)
    assert silence.take_unstored(TUESDAY) == {}
    silence.look(TUESDAY + HOUR, is_connected=True)
    taken = silence.take_unstored(TUESDAY + HOUR)
    assert set(taken) == {"hearing"}
    assert silence.take_unstored(TUESDAY) == {}
    silence.put_back(taken)
    assert silence.take_unstored(TUESDAY)
    silence.was_reset(TUESDAY + HOUR)
    assert silence.take_unstored(TUESDAY)
    silence.heard(TUESDAY + HOUR)
    assert silence.take_unstored(TUESDAY)
    silence.heard(TUESDAY + HOUR)
    assert silence.take_unstored(TUESDAY) == {}
