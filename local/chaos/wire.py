"""What the wire-level server has seen: when which session spoke, and what no session may do."""

from collections.abc import Iterator, Mapping

from core.ids import AccountId
from local.chaos.terms import Login
from local.control_client import ControlClient
from local.faults.judge import Broken, Finding


def wire_findings(control_port: int) -> Iterator[Finding]:
    control = ControlClient(control_port)
    for overtaken in control.get("/overtaken"):
        what = f"a {overtaken['tag']} on login {overtaken['login']} after login {overtaken['latest_login']}"
        yield Finding(broken=Broken.DUPLICATED, where="two sockets of one account", what=what)
    for problem in control.get("/problems"):
        yield Finding(broken=Broken.LOST, where="the wire", what=f"{problem['kind']}: {problem['detail']}")


def logins(control_port: int, accounts: Mapping[str, AccountId]) -> list[Login]:
    """Those of these accounts, by their number."""
    return [
        Login(account=accounts[login["account"]], began_s=login["began_at"], taken_s=login["taken_at"])
        for login in ControlClient(control_port).get("/logins")
        if login["account"] in accounts
    ]
