"""The state of the fake cloud: one project in a JSON file, a record of every command, and the faults that a test asks for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATE_VARIABLE = "FAKE_CLOUD_STATE"

State = dict[str, Any]


class Refusal(Exception):
    """A refusal as the real program would give it: the relevant words, and the exit status."""

    def __init__(self, words: str, status: int = 1) -> None:
        super().__init__(words)
        self.status = status


def new_state(project: str = "my-company-inbox", number: str = "123456789012") -> State:
    """A project as the console creates it: almost no APIs, no Firebase, no service accounts."""
    return {
        "project": project,
        "number": number,
        "apis": ["serviceusage.googleapis.com", "cloudresourcemanager.googleapis.com", "logging.googleapis.com"],
        "is_firebase": False,
        "accounts": {},
        "agents": [],
        "policies": {},
        "repositories": {},
        "images": [],
        "sql": {},
        "secrets": {},
        "databases": {},
        "schedules": {},
        "rules": {},
        "indexes": {},
        "ttls": {},
        "services": {},
        "functions": {},
        "queues": {},
        "jobs": {},
        "metrics": [],
        "dashboards": [],
        "admins": [],
        "whatsapp_accounts": [],
        "log": [],
        "changes": 0,
        "faults": {},
    }


@dataclass
class Cloud:
    """`faults` of the state: `fail_before` and `fail_after` (the number of a change), `eventarc_refusals` (how many deploys of event
    functions are refused first)."""

    state: State
    changed: bool = field(default=False)

    @property
    def project(self) -> str:
        return str(self.state["project"])

    @property
    def number(self) -> str:
        return str(self.state["number"])

    def need_api(self, name: str) -> None:
        if name not in self.state["apis"]:
            raise Refusal(
                f"{name} has not been used in project {self.project} before or it is disabled. reason: SERVICE_DISABLED"
            )

    def need_project(self, project: str | None) -> None:
        if project != self.project:
            raise Refusal(f"The caller does not have permission, or project {project} does not exist")

    @contextmanager
    def change(self) -> Iterator[State]:
        """Around each change, so that a test can have one fail before it is made, or its answer be lost after it."""
        self.state["changes"] += 1
        number, faults = self.state["changes"], self.state["faults"]
        if faults.get("fail_before") == number:
            raise Refusal("INTERNAL: an internal error has occurred")
        yield self.state
        self.changed = True
        if faults.get("fail_after") == number:
            raise Refusal("INTERNAL: the answer was lost")

    def policy(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.state["policies"].setdefault(name, [])
        return found

    def has_role(self, member: str, role: str, *names: str) -> bool:
        return any(
            binding["role"] == role and member in binding["members"]
            for name in names
            for binding in self.state["policies"].get(name, [])
        )

    def member_exists(self, member: str) -> bool:
        if not member.startswith("serviceAccount:"):
            return True
        email = member.removeprefix("serviceAccount:")
        if email == f"{self.number}-compute@developer.gserviceaccount.com":
            return "compute.googleapis.com" in self.state["apis"]
        return email in self.state["accounts"] or email in self.state["agents"]

    def bind(self, name: str, member: str, role: str, condition: dict[str, str] | None = None) -> None:
        if not self.member_exists(member):
            raise Refusal(f"INVALID_ARGUMENT: Service account {member.removeprefix('serviceAccount:')} does not exist.")
        bindings = self.policy(name)
        for binding in bindings:
            if binding["role"] == role and binding.get("condition") == condition:
                if member not in binding["members"]:
                    binding["members"].append(member)
                return
        bindings.append({"role": role, "members": [member], **({"condition": condition} if condition else {})})

    def bind_alone(self, name: str, members: list[str], role: str) -> None:
        """Gives the role to these members, and takes it from every other."""
        bindings = self.policy(name)
        bindings[:] = [binding for binding in bindings if binding["role"] != role]
        for member in members:
            self.bind(name, member, role)

    def secret_values(self) -> list[str]:
        """Every value that was ever stored, and the passwords of the database's users."""
        values = [version["value"] for secret in self.state["secrets"].values() for version in secret["versions"]]
        users = [password for each in self.state["sql"].values() for password in each["users"].values()]
        return [value for value in [*values, *users] if value]


def load(path: Path) -> Cloud:
    return Cloud(json.loads(path.read_text()))


def save(cloud: Cloud, path: Path) -> None:
    path.write_text(json.dumps(cloud.state, indent=1))
