"""Which callers of another version are answered."""

import pytest

from core import contract


@pytest.mark.parametrize("named", [None, *(str(version) for version in range(contract.OLDEST, contract.VERSION + 1))])
def test_the_present_version_and_the_one_before_are_answered(named: str | None) -> None:
    assert contract.complaint(named) is None
    assert contract.VERSION - contract.OLDEST == 1


@pytest.mark.parametrize("named", ["0", str(contract.OLDEST - 1)])
def test_an_older_caller_is_told_to_be_deployed(named: str) -> None:
    assert "deploy it anew" in (contract.complaint(named) or "")


@pytest.mark.parametrize("named", [str(contract.VERSION + 1), "", "two", "-1", "1.5", "٣", "9" * 40])
def test_a_newer_caller_and_what_is_no_version_are_told_to_wait_for_this_side(named: str) -> None:
    assert "deploy this side first" in (contract.complaint(named) or "")


def test_of_a_complaint_only_the_versions_that_are_served_are_taken() -> None:
    assert contract.served_in(contract.complaint("9")) == contract.SERVED
    for other in (None, 7, "no words of ours", "is not one of x to y; ", "is not one of 1 to 2"):
        assert contract.served_in(other) is None
