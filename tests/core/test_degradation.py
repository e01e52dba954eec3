"""Causes of degradation stand and end each for itself, and are read back by whoever owns the account next."""

import pytest

from core.degradation import Cause, Degradation, parse_degradation


def test_causes_stand_side_by_side_and_end_one_by_one() -> None:
    degradation = Degradation()
    assert degradation.fields() == {"degraded": False, "degradedReason": None}
    degradation.begin(Cause.DEAF, "nothing was heard")
    both = degradation.begin(Cause.GAP, "3 messages are missing; asked for")
    reason = "gap: 3 messages are missing, asked for; deaf: nothing was heard"
    assert both == {"degraded": True, "degradedReason": reason}
    assert degradation.end(Cause.GAP) == {"degraded": True, "degradedReason": "deaf: nothing was heard"}
    assert degradation.end(Cause.GAP) == {}
    assert degradation.end(Cause.DEAF) == {"degraded": False, "degradedReason": None}


def test_the_next_owner_reads_what_stands() -> None:
    written = Degradation()
    written.begin(Cause.GAP, "since 10:00: all")
    fields = written.begin(Cause.DEAF, "nothing was heard")
    read = parse_degradation(fields)
    assert read.stands(Cause.GAP)
    assert read.stands(Cause.DEAF)
    assert read.fields() == fields


@pytest.mark.parametrize("reason", [None, 7, "", "slow", "slow: very"])
def test_what_names_no_cause_is_none(reason: object) -> None:
    assert parse_degradation({"degradedReason": reason}).fields() == {"degraded": False, "degradedReason": None}
