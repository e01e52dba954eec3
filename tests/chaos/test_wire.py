"""What an older connection of a device says after a newer login is a finding; keeping it alive is none where its lease was given away."""

import pytest

from local.chaos.wire import two_sockets


def said(tag: str, *, lease_given_away: bool) -> list[str]:
    stanza = {"account": "+40700000001", "tag": tag, "login": 38, "latest_login": 39, "at": 1.0}
    return [finding.what for finding in two_sockets([stanza], lease_given_away=lease_given_away)]


@pytest.mark.parametrize("tag", ["message", "receipt", "ack", "call", "iq", "presence"])
def test_whatever_comes_from_an_owner_after_its_term_is_a_finding(tag: str) -> None:
    assert said(tag, lease_given_away=False) == [f"a {tag} on login 38 after login 39"]


@pytest.mark.parametrize(("tag", "found"), [("message", 1), ("receipt", 1), ("ack", 1), ("iq", 0), ("presence", 0)])
def test_an_owner_in_its_term_may_keep_its_connection_alive_and_do_no_more(tag: str, found: int) -> None:
    assert len(said(tag, lease_given_away=True)) == found
