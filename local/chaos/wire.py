"""What the wire-level server has seen that no session may do: two owners at once, and what nobody could read."""

from collections.abc import Iterator

from local.control_client import ControlClient
from local.faults.judge import Broken, Finding


def wire_findings(control_port: int) -> Iterator[Finding]:
    control = ControlClient(control_port)
    for overtaken in control.get("/overtaken"):
        what = f"a {overtaken['tag']} on login {overtaken['login']} after login {overtaken['latest_login']}"
        yield Finding(broken=Broken.DUPLICATED, where="two sockets of one account", what=what)
    for problem in control.get("/problems"):
        yield Finding(broken=Broken.LOST, where="the wire", what=f"{problem['kind']}: {problem['detail']}")
