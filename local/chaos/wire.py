"""What the wire-level server has seen: when which session spoke, and what no session may do."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from core.ids import AccountId
from local.chaos.terms import Login
from local.control_client import ControlClient
from local.faults.verdict import Broken, Finding

_UPKEEP = frozenset({"iq", "ib", "presence", "chatstate"})
"""Stanzas that keep a connection alive. None of them says anything to a contact or takes anything from one."""


def wire_findings(control_port: int, *, lease_given_away: bool = False) -> Iterator[Finding]:
    """`lease_given_away`: see `two_sockets`."""
    control = ControlClient(control_port)
    yield from two_sockets(control.get("/overtaken"), lease_given_away=lease_given_away)
    for problem in control.get("/problems"):
        yield Finding(broken=Broken.LOST, where="the wire", what=f"{problem['kind']}: {problem['detail']}")


def two_sockets(overtaken: Iterable[Mapping[str, Any]], *, lease_given_away: bool) -> Iterator[Finding]:
    """A finding for each stanza that came from a connection after the same device had logged in on a newer one.

    `lease_given_away`: the former owner is alive and in its term, so it may keep its connection alive until it learns of the new
    login. No message, receipt or acknowledgement may come from it even then.
    """
    for stanza in overtaken:
        if lease_given_away and stanza["tag"] in _UPKEEP:
            continue
        what = f"a {stanza['tag']} on login {stanza['login']} after login {stanza['latest_login']}"
        yield Finding(broken=Broken.DUPLICATED, where="two sockets of one account", what=what)


def logins(control_port: int, accounts: Mapping[str, AccountId]) -> list[Login]:
    """Those of these accounts, by their number."""
    return [
        Login(account=accounts[login["account"]], began_s=login["began_at"], taken_s=login["taken_at"])
        for login in ControlClient(control_port).get("/logins")
        if login["account"] in accounts
    ]
