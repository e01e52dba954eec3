from backend.fair import in_turns


def test_each_account_has_its_turn_before_any_has_a_second() -> None:
    assert list(in_turns([["a1", "a2", "a3"], ["b1"], ["c1", "c2"]])) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_without_accounts_nobody_has_a_turn() -> None:
    assert list(in_turns([])) == []
