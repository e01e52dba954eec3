"""Roles, deliveries, text, time constants, log hashes: one table each."""

import itertools

import pytest

from core import access, delivery
from core.delivery import Delivery, is_forward
from core.log_hash import log_hash
from core.text import preview, utf16_units
from core.timing import Timing


@pytest.mark.parametrize("claim", [["employee"], {"employee": False}, True, None, "Employee", "", 1])
def test_a_role_claim_that_is_not_one_of_the_two_strings_is_no_role(claim: object) -> None:
    assert access.role_of({"role": claim}) is None
    assert not access.is_employee({"role": claim})


def test_a_super_admin_is_an_employee_and_an_employee_is_no_super_admin() -> None:
    assert access.is_employee({"role": "superAdmin"})
    assert access.is_super_admin({"role": "superAdmin"})
    assert access.is_employee({"role": "employee"})
    assert not access.is_super_admin({"role": "employee"})


def test_delivery_moves_forward_only() -> None:
    order = ["queued", "failed", "sent", "delivered", "read"]
    for old, new in itertools.product(order, order):
        assert is_forward(Delivery(old), Delivery(new)) == (order.index(new) > order.index(old))


def test_only_whatsapps_word_proves_a_send() -> None:
    assert [state for state in Delivery if delivery.proves_sent(state)] == ["sent", "delivered", "read"]


@pytest.mark.parametrize("value", [None, "", "SENT", 3, ["sent"]])
def test_what_is_no_delivery_reads_as_none(value: object) -> None:
    assert delivery.parse(value) is None


@pytest.mark.parametrize(("text", "units"), [("", 0), ("a", 1), ("é", 1), ("👋", 2), ("👨‍👩‍👧", 8)])
def test_text_is_counted_in_utf16_units_as_the_rules_do(text: str, units: int) -> None:
    assert utf16_units(text) == units


def test_a_preview_is_one_line_of_at_most_a_hundred_characters() -> None:
    assert preview(" one\n two\tthree ") == "one two three"
    assert preview("x" * 100) == "x" * 100
    assert preview("x" * 101) == "x" * 99 + "…"


def test_deadlines_nest_at_every_scale() -> None:
    for scale in (1.0, 0.1, 0.01):
        t = Timing().scaled(scale)
        assert (
            t.engine_send_s < t.post_s < t.claim_s < t.job_budget_s < t.job_budget_s + t.claim_s < t.dispatch_deadline_s
        )
        assert 2 * t.lease_renew_s < t.lease_ttl_s


def test_a_lease_lasts_24_s_is_renewed_each_8_s_and_twice_before_its_owners_term_ends() -> None:
    t, owner_ends_s = Timing(), 18.0  # connector/leases.py: a quarter is left for clocks that differ
    assert (t.lease_ttl_s, t.lease_renew_s) == (24.0, 8.0)
    assert 2 * t.lease_renew_s < owner_ends_s == t.lease_ttl_s * 3 / 4


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_time_scale_must_be_above_zero(factor: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Timing().scaled(factor)


def test_a_log_hash_is_stable_and_depends_on_the_key() -> None:
    assert log_hash("a", "thread") == log_hash("a", "thread")
    assert log_hash("a", "thread") != log_hash("b", "thread")
    assert len(log_hash("a", "thread")) == 12
