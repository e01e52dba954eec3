"""The demo's people: two who sign in, and the contact and the phone that the simulated network plays."""

import json
import urllib.request
from dataclasses import dataclass

from core.access import Role
from local.project import ROOT
from local.suite import Suite

PASSWORD = "threadline-demo"  # noqa: S105 - of users that exist only in the Auth emulator, and printed for whoever tries the demo


@dataclass(frozen=True, kw_only=True)
class User:
    email: str
    role: Role


@dataclass(frozen=True, kw_only=True)
class Phone:
    name: str
    phone: str


SUPER_ADMIN = User(email="mara@threadline.example", role=Role.SUPER_ADMIN)
EMPLOYEE = User(email="ion@threadline.example", role=Role.EMPLOYEE)
ACCOUNT = Phone(name="Front desk", phone="+40312345678")
CONTACT = Phone(name="Ana", phone="+40712345678")


def create(suite: Suite, user: User) -> None:
    """A user in the Auth emulator, with a role as functions/set_role.py gives it in production."""
    body = json.dumps({"email": user.email, "password": PASSWORD}).encode()
    request = urllib.request.Request(
        f"http://{suite.auth}/identitytoolkit.googleapis.com/v1/accounts:signUp?key=demo",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()
    suite.processes.run(
        f"role-{user.role}",
        [ROOT / "functions/venv/bin/python", "set_role.py", user.email, user.role],
        environment={**suite.environment(), "PYTHONPATH": ""},
        folder=ROOT / "functions",
    )
