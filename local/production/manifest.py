"""The functions as `firebase deploy` would deploy them, read from the manifest that their own SDK makes of the source."""

import re
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import yaml

from local import ports
from local.cloud_run.front import ALL_USERS
from local.cloud_tasks.settings import QueueSettings, queue_of_manifest
from local.identity_server import FUNCTIONS_ACCOUNT
from local.processes import Processes, StartFailed
from local.project import PROJECT_ID, ROOT

FUNCTIONS = ROOT / "functions"
PYTHON = FUNCTIONS / "venv/bin/python"
"""What production installs, and nothing of the development tools."""
SCHEDULER_ACCOUNT = FUNCTIONS_ACCOUNT
"""The functions' own, unless a scheduled function names another."""
_LIMIT_S = 30.0
_POLL_S = 0.05
_PARAMETER = re.compile(r"\{\{ params\.(\w+) \}\}")


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A Firestore trigger. `retried`: a failed event comes again."""

    event_type: str
    database: str
    document: str
    retried: bool


@dataclass(frozen=True, kw_only=True)
class DeployedFunction:
    """A function with the settings it is deployed with; `queue` is a task-queue function's.

    `invokers`: who may call its service, as `firebase deploy` binds roles/run.invoker: e-mails, or ALL_USERS.
    """

    name: str
    concurrency: int
    timeout_s: float
    trigger: Trigger | None
    queue: QueueSettings | None
    is_scheduled: bool
    invokers: tuple[str, ...]

    @property
    def signature(self) -> str:
        return "http" if self.trigger is None else "cloudevent"


def discover(
    processes: Processes, environment: Mapping[str, str], source: Path = FUNCTIONS
) -> dict[str, DeployedFunction]:
    """All functions of a source folder, as the Firebase CLI finds them with these parameters. Raises StartFailed."""
    port = ports.free_port()
    discovery = processes.spawn(
        "discovery",
        [PYTHON, "-m", "firebase_functions.private.serving"],
        environment={**environment, "ADMIN_PORT": str(port), "GCLOUD_PROJECT": PROJECT_ID, "PYTHONPATH": ""},
        folder=source,
        grace_s=0,
    )
    deadline = time.monotonic() + _LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(f"http://{ports.HOST}:{port}/__/functions.yaml", timeout=_LIMIT_S) as answer:
                manifest: dict[str, Any] = yaml.safe_load(answer.read())
            break
        except URLError as error:
            if not discovery.is_running or time.monotonic() > deadline:
                raise StartFailed(f"The functions cannot be discovered:\n{discovery.log_tail()}") from error
            time.sleep(_POLL_S)
    processes.stop(discovery)
    return {
        name: parse_endpoint(name, with_values(endpoint, environment))
        for name, endpoint in manifest["endpoints"].items()
    }


def with_values(part: Any, environment: Mapping[str, str]) -> Any:
    """A part of the manifest with the parameters' values in it. Raises KeyError for a parameter without a value."""
    if isinstance(part, dict):
        return {name: with_values(value, environment) for name, value in part.items()}
    if isinstance(part, list):
        return [with_values(value, environment) for value in part]
    return _PARAMETER.sub(lambda found: environment[found[1]], part) if isinstance(part, str) else part


def parse_endpoint(name: str, endpoint: Mapping[str, Any]) -> DeployedFunction:
    event, queue = endpoint.get("eventTrigger"), endpoint.get("taskQueueTrigger")
    return DeployedFunction(
        name=name,
        concurrency=endpoint.get("concurrency") or 80,
        timeout_s=float(endpoint.get("timeoutSeconds") or 60),
        trigger=None
        if event is None
        else Trigger(
            event_type=event["eventType"],
            database=event["eventFilters"]["database"],
            document=event["eventFilterPathPatterns"]["document"],
            retried=bool(event.get("retry")),
        ),
        queue=None if queue is None else queue_of_manifest(name, queue),
        is_scheduled="scheduleTrigger" in endpoint,
        invokers=tuple(_invokers(endpoint)),
    )


def _invokers(endpoint: Mapping[str, Any]) -> Iterable[str]:
    """What firebase-tools binds (lib/deploy/functions/release/fabricator.js): of an HTTP function its invokers or everybody, of a
    callable everybody, of a task queue function its invokers or nobody, of a scheduled one the account that Cloud Scheduler calls as.
    A Firestore trigger's events come past the front, by the event relay."""
    if "callableTrigger" in endpoint:
        return [ALL_USERS]
    if "httpsTrigger" in endpoint:
        return _named(endpoint["httpsTrigger"].get("invoker") or ["public"])
    if "taskQueueTrigger" in endpoint:
        return _named(endpoint["taskQueueTrigger"].get("invoker") or [])
    if "scheduleTrigger" in endpoint:
        return _named([endpoint.get("serviceAccountEmail") or SCHEDULER_ACCOUNT])
    return []


def _named(invokers: Sequence[str]) -> list[str]:
    if "private" in invokers:
        return []
    if "public" in invokers:
        return [ALL_USERS]
    suffix = f"{PROJECT_ID}.iam.gserviceaccount.com"
    return [f"{invoker}{suffix}" if invoker.endswith("@") else invoker for invoker in invokers]


def deployed_environment(source: Path = FUNCTIONS) -> dict[str, str]:
    """What stands in `.env`, which is deployed with every function; THREADS is among it."""
    lines = (source / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
