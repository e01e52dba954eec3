"""Asks firebase-tools for the plan of a deploy (firebase_tools.mjs), and reads its answer."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy.deployment import DEFAULT_DATABASE
from deploy.firebase_config import deployment_config

ROOT = Path(__file__).resolve().parent.parent.parent
FIREBASE_TOOLS = ROOT / "local/firebase_tools/node_modules/firebase-tools"
_LIMIT_S = 300
"""Long, for slow machines. firebase-tools itself waits 10 s for the discovery of functions."""
PROJECT_NUMBER = "123456789012"
_INDEX = re.compile(r"/databases/(?P<database>[^/]+)/collectionGroups/(?P<collection>[^/]+)/indexes")
_FIELD = re.compile(
    r"(?P<name>projects/[^/]+/databases/(?P<database>[^/]+)/collectionGroups/(?P<collection>[^/]+)/fields/[^/?]+)"
)
_RELEASE = re.compile(r"(?P<name>projects/[^/]+/releases/cloud\.firestore(/(?P<database>[^/]+))?)$")


class Action(StrEnum):
    CREATE = "create"
    OVERWRITE = "overwrite"
    DELETE = "delete"
    SKIP = "skip"
    """Unchanged since the last deploy."""
    LEAVE = "leave"
    """In the project, and not touched by the deploy."""


class PlanRefused(Exception):
    """firebase-tools stops before anything is deployed. `report` is what it shows, the message its last line."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, kw_only=True)
class PlannedFunction:
    """As firebase-tools would deploy it. `invoker`: the accounts that it binds roles/run.invoker to, where the function names some."""

    action: Action
    name: str
    region: str
    codebase: str
    service_account: str | None
    invoker: tuple[str, ...] | None
    trigger: str
    database: str | None
    secrets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Write:
    """One change of the rules or indexes of `database`."""

    action: Action
    what: str
    database: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    functions: tuple[PlannedFunction, ...]
    writes: tuple[Write, ...]

    def functions_to(self, action: Action) -> list[str]:
        return sorted(function.name for function in self.functions if function.action is action)


def plan(
    *,
    project: str,
    parameters: Mapping[str, str],
    database: str,
    has: Mapping[str, Any],
    codebase: str | None = None,
    force: bool = True,
) -> Plan:
    """What `firebase deploy --only functions,firestore --force` would do to a project that has what `has` says (its form: see
    shared_project.json). `codebase` in the place of our own shows what that would do. Raises PlanRefused."""
    config = deployment_config(json.loads((ROOT / "firebase.json").read_text()), database)
    if codebase is not None:
        config["functions"][0]["codebase"] = codebase
    with tempfile.TemporaryDirectory() as folder:
        config["functions"][0]["configDir"] = folder
        Path(folder, ".env").write_text((ROOT / "functions/.env").read_text())
        lines = "".join(f"{name}={value}\n" for name, value in parameters.items())
        Path(folder, f".env.{project}").write_text(lines)
        return _read(_asked(project, config, has, force=force), has)


def _asked(project: str, config: dict[str, Any], has: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
    question = {
        "project": project,
        "projectNumber": PROJECT_NUMBER,
        "folder": str(ROOT),
        "firebaseTools": str(FIREBASE_TOOLS),
        "firebaseJson": config,
        "has": has,
        "force": force,
    }
    asked = subprocess.run(
        ["node", Path(__file__).with_name("firebase_tools.mjs")],
        input=json.dumps(question),
        env={**os.environ, "FUNCTIONS_DISCOVERY_TIMEOUT": str(_LIMIT_S)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    if asked.returncode != 0:
        raise PlanRefused("firebase-tools did not answer", asked.stderr)
    answer: dict[str, Any] = json.loads(asked.stdout)
    if "error" in answer:
        raise PlanRefused(answer["error"], asked.stderr)
    return answer


def _read(answer: Mapping[str, Any], has: Mapping[str, Any]) -> Plan:
    functions = (
        PlannedFunction(
            action=Action(found["action"]),
            name=found["name"],
            region=found["region"],
            codebase=found["codebase"],
            service_account=found["serviceAccount"],
            invoker=None if found["invoker"] is None else tuple(found["invoker"]),
            trigger=found["trigger"],
            database=found["database"],
            secrets=tuple(found["secrets"]),
        )
        for found in answer["functions"]
    )
    uploads = "/rulesets"  # rules that are uploaded rule nothing before they are released
    writes = (_write(request, has) for request in answer["writes"] if not request["url"].endswith(uploads))
    return Plan(functions=tuple(functions), writes=tuple(writes))


def _write(request: Mapping[str, Any], has: Mapping[str, Any]) -> Write:
    method, url = request["method"], request["url"]
    if release := _RELEASE.search(url):
        is_there = any(found["name"] == release["name"] for found in has["releases"])
        action = Action.OVERWRITE if is_there else Action.CREATE
        return Write(action=action, what="security rules", database=release["database"] or DEFAULT_DATABASE)
    if index := _INDEX.search(url):
        action = {"POST": Action.CREATE, "DELETE": Action.DELETE}[method]
        return Write(action=action, what=f"index of {index['collection']}", database=index["database"])
    if field := _FIELD.search(url):
        fields = has["fields"].get(field["database"], [])
        is_there = any(found["name"] == field["name"] for found in fields)
        action = Action.OVERWRITE if is_there else Action.CREATE
        what = f"settings of a field of {field['collection']}"
        return Write(action=action, what=what, database=field["database"])
    raise PlanRefused(f"firebase-tools would do something that this planner does not know: {method} {url}", "")
