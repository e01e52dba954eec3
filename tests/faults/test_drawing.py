"""Faults are drawn by a hash: a seed repeats, whatever the timing."""

import pytest

from local.faults.cast import make_cast
from local.faults.rounds import rounds_of
from local.production.faults import FaultKind, FaultPlan, InvalidPlan, parse_plan

KEYS = [f"document-{number}" for number in range(2000)]


def struck(
    plan: FaultPlan, kind: FaultKind = FaultKind.LATE, place: str = "threadlineSend", attempt: int = 0
) -> set[str]:
    return {key for key in KEYS if plan.strikes(kind, place, key, attempt)}


def test_the_same_seed_strikes_the_same_documents() -> None:
    plan = FaultPlan(seed=7, rates={FaultKind.LATE: 0.2})
    assert struck(plan) == struck(parse_plan(plan.text()))


def test_seed_kind_place_and_attempt_each_draw_anew() -> None:
    plan = FaultPlan(seed=7, rates={FaultKind.LATE: 0.2, FaultKind.TWICE: 0.2})
    others = [
        struck(FaultPlan(seed=8, rates=plan.rates)),
        struck(plan, FaultKind.TWICE),
        struck(plan, place="threadlineOnIngest"),
        struck(plan, attempt=1),
    ]
    assert all(other != struck(plan) for other in others)


def test_a_rate_is_a_part_of_the_occasions() -> None:
    assert len(struck(FaultPlan(rates={FaultKind.LATE: 0.2}))) == pytest.approx(400, abs=80)
    assert struck(FaultPlan(rates={FaultKind.LATE: 1.0})) == set(KEYS)
    assert not struck(FaultPlan())


def test_an_amount_lies_between_0_and_1_and_is_independent_of_whether_the_kind_strikes() -> None:
    plan = FaultPlan(rates={FaultKind.LATE: 0.1})
    amounts = [plan.amount(FaultKind.LATE, "threadlineSend", key) for key in struck(plan)]
    assert all(0 <= amount < 1 for amount in amounts)
    assert max(amounts) > 0.8


@pytest.mark.parametrize("text", ["late", "late=often", "sometimes=0.1", "seed=x"])
def test_a_malformed_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlan):
        parse_plan(text)


def test_twelve_seeds_in_a_row_show_each_kind_alone_and_each_seed_all_together() -> None:
    planned = [rounds_of(seed, 300, None) for seed in range(1, 1 + len(FaultKind))]
    assert {alone.kinds for alone, _ in planned} == {(kind,) for kind in FaultKind}
    assert all(together.kinds == tuple(FaultKind) for _, together in planned)
    assert all(sum(this.messages for this in rounds) == 300 for rounds in planned)


def test_a_cast_has_as_many_messages_as_asked_for_a_hot_chat_and_chats_of_one_direction() -> None:
    cast = make_cast(3, 1, 200)
    assert (len(cast.all_requests()), len(cast.all_inbound())) == (200, 200)
    hot, *others = cast.chats
    assert hot.requests == hot.inbound == 40
    assert any(chat.requests == 0 for chat in others)
    assert any(chat.inbound == 0 for chat in others)
    assert {chat.account.account_id for chat in others} == {account.account_id for account in cast.accounts}
    assert len({request.request_id for request in cast.all_requests()}) == 200


def test_a_seeds_names_are_its_own_and_repeat() -> None:
    assert make_cast(3, 1, 60) == make_cast(3, 1, 60)
    names = [{request.request_id for request in make_cast(seed, 1, 60).all_requests()} for seed in (3, 4)]
    assert not names[0] & names[1]
