"""An account's limits: what may be set, and what holds where nothing valid is."""

import re
from pathlib import Path

import pytest

from core.account_limits import LIMITS, InvalidLimit, checked, in_force

PAGE = Path(__file__).parents[2] / "docs" / "pacing.md"


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_takes_its_range_and_its_default_and_nothing_else(name: str) -> None:
    limit = LIMITS[name]
    for value in (limit.least, limit.most, None):
        assert checked({name: value}) == {name: value}
    for wrong in (limit.least - 1, limit.most + 1, float(limit.least + 1), True, str(limit.least), [limit.least]):
        with pytest.raises(InvalidLimit) as refused:
            checked({name: wrong})
        words = str(refused.value)
        assert words == (
            f"{name} must be a whole number from {limit.least} to {limit.most}, or null for the default, which is {limit.default}"
        )


def test_each_wrong_limit_is_named_and_an_unknown_one_names_those_that_there_are() -> None:
    with pytest.raises(InvalidLimit, match=r"sendBurst must be .*; warmUpDays must be "):
        checked({"sendBurst": 0, "coldPerDay": 1, "warmUpDays": -1})
    with pytest.raises(InvalidLimit, match=r"limits are sendsPerMinute, .*another name was given$"):
        checked({"coldPerHour": 1})


@pytest.mark.parametrize("name", LIMITS)
def test_what_may_be_set_holds_as_it_was_set(name: str) -> None:
    for value in (LIMITS[name].least, LIMITS[name].most, LIMITS[name].default):
        held = in_force(checked({name: value}))
        assert (held[name].value, held[name].is_default) == (value, False)
        assert all(each.is_default for other, each in held.items() if other != name)


@pytest.mark.parametrize("stored", [None, "many", -1, True])
@pytest.mark.parametrize("name", LIMITS)
def test_what_is_missing_or_not_valid_is_the_default(name: str, stored: object) -> None:
    held = in_force({name: stored})[name]
    assert (held.value, held.is_default) == (LIMITS[name].default, True)


def test_the_page_says_the_same_of_each() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) to (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert {name: tuple(map(int, numbers)) for name, *numbers in rows} == {
        name: (limit.default, limit.least, limit.most) for name, limit in LIMITS.items()
    }
