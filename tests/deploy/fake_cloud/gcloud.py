"""The fake `gcloud`: each handler is one command, and answers what the real one prints as JSON."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.fake_cloud.cloud import Cloud, Refusal
from tests.deploy.fake_cloud.command_line import Line, parse

Handler = Callable[[Cloud, Line, str | None], Any]

ROOT = Path(__file__).resolve().parents[3]

_APIS = {
    "iam": "iam.googleapis.com",
    "artifacts": "artifactregistry.googleapis.com",
    "secrets": "secretmanager.googleapis.com",
    "sql": "sqladmin.googleapis.com",
    "firestore": "firestore.googleapis.com",
    "run": "run.googleapis.com",
    "tasks": "cloudtasks.googleapis.com",
    "scheduler": "cloudscheduler.googleapis.com",
    "functions": "cloudfunctions.googleapis.com",
    "builds": "cloudbuild.googleapis.com",
    "monitoring": "monitoring.googleapis.com",
    "logging": "logging.googleapis.com",
}


@dataclass(frozen=True)
class Handlers:
    """Registers handlers by their command: `@handles("secrets list")`."""

    by_command: dict[str, Handler] = field(default_factory=dict)

    def __call__(self, command: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.by_command[command] = handler
            return handler

        return register


handles = Handlers()
HANDLERS = handles.by_command


def run(cloud: Cloud, handlers: dict[str, Handler], arguments: list[str], given: str | None) -> Any:
    """`given` is standard input. Raises Refusal."""
    line = parse(arguments)
    if line.flags.get("flags-file") == "/dev/stdin":
        more = [text.partition(":") for text in (given or "").splitlines() if text.strip()]
        line = parse([*arguments, *(f"{name.strip()}={yaml.safe_load(value)}" for name, _, value in more)])
    elif "password" in line.flags:
        raise Refusal("a password on a command line")
    if not line.command.startswith("auth "):
        cloud.need_project(line.flags.get("project"))
    group = line.command.split()[0]
    if group in _APIS:
        cloud.need_api(_APIS[group])
    if line.command not in handlers:
        raise Refusal(f"the fake cloud does not do {line.command!r} yet")
    return handlers[line.command](cloud, line, given)


@handles("projects describe")
def _describe(cloud: Cloud, line: Line, _: str | None) -> Any:
    cloud.need_project(line.name)
    return {"projectId": cloud.project, "projectNumber": cloud.number, "lifecycleState": "ACTIVE"}


@handles("auth print-access-token")
@handles("auth application-default print-access-token")
def _token(cloud: Cloud, _line: Line, _: str | None) -> Any:
    if cloud.state["faults"].get("signed_out"):
        raise Refusal("Your default credentials were not found. Run `gcloud auth application-default login`")
    return "ya29.fake-access-token"


@handles("auth login")
@handles("auth application-default login")
def _sign_in(cloud: Cloud, _line: Line, _: str | None) -> Any:
    cloud.state["faults"].pop("signed_out", None)
    return ""


@handles("services list")
def _services(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [{"config": {"name": name}, "state": "ENABLED"} for name in cloud.state["apis"]]


@handles("services enable")
def _enable(cloud: Cloud, line: Line, _: str | None) -> Any:
    if len(line.positional) > 20:
        raise Refusal("INVALID_ARGUMENT: at most 20 services may be enabled at once")
    with cloud.change() as state:
        state["apis"] += [name for name in line.positional if name not in state["apis"]]


@handles("beta services identity create")
def _identity(cloud: Cloud, line: Line, _: str | None) -> Any:
    api = line.need("service")
    cloud.need_api(api)
    agent = f"service-{cloud.number}@gcp-sa-{api.split('.')[0]}.iam.gserviceaccount.com"
    with cloud.change() as state:
        if agent not in state["agents"]:
            state["agents"].append(agent)
    return {"email": agent}


@handles("iam service-accounts list")
def _accounts(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [{"email": email, **account} for email, account in cloud.state["accounts"].items()]


@handles("iam service-accounts create")
def _create_account(cloud: Cloud, line: Line, _: str | None) -> Any:
    email = f"{line.name}@{cloud.project}.iam.gserviceaccount.com"
    if email in cloud.state["accounts"]:
        raise Refusal(f"ALREADY_EXISTS: Service account {line.name} already exists")
    with cloud.change() as state:
        state["accounts"][email] = {"displayName": line.flags.get("display-name", "")}


_RESOURCES: dict[str, tuple[str, str, str | None]] = {
    "iam service-accounts": ("account", "accounts", None),
    "secrets": ("secret", "secrets", None),
    "run services": ("service", "services", "region"),
    "tasks queues": ("queue", "queues", "location"),
    "artifacts repositories": ("repository", "repositories", "location"),
}


def _policy_name(cloud: Cloud, line: Line) -> str:
    group = line.command.rpartition(" ")[0]
    if group == "projects":
        cloud.need_project(line.name)
        return "project"
    kind, table, place = _RESOURCES[group]
    if place:
        line.need(place)
    if line.name not in cloud.state[table]:
        raise Refusal(f"NOT_FOUND: {kind} {line.name} was not found")
    return f"{kind}/{line.name}"


def _get_policy(cloud: Cloud, line: Line, _: str | None) -> Any:
    return {"bindings": cloud.state["policies"].get(_policy_name(cloud, line), []), "etag": "BwX"}


def _bind(cloud: Cloud, line: Line, _: str | None) -> Any:
    name = _policy_name(cloud, line)
    condition = _condition(line.flags.get("condition", ""))
    if "condition" not in line.flags and any("condition" in binding for binding in cloud.policy(name)):
        raise Refusal("Adding a binding without specifying a condition to a policy containing conditions is prohibited")
    with cloud.change():
        cloud.bind(name, line.need("member"), line.need("role"), condition)
    return {"bindings": cloud.policy(name)}


for _group in ("projects", *_RESOURCES):
    HANDLERS[f"{_group} get-iam-policy"] = _get_policy
    HANDLERS[f"{_group} add-iam-policy-binding"] = _bind


def _condition(text: str) -> dict[str, str] | None:
    if text in ("", "None"):
        return None
    parts = dict(part.split("=", 1) for part in text.split(","))
    if not {"expression", "title"} <= parts.keys():
        raise Refusal("argument --condition: expression and title must be specified")
    return parts


@handles("artifacts repositories list")
def _repositories(cloud: Cloud, line: Line, _: str | None) -> Any:
    place = f"projects/{cloud.project}/locations/{line.need('location')}"
    return [{"name": f"{place}/repositories/{name}", **each} for name, each in cloud.state["repositories"].items()]


@handles("artifacts repositories create")
def _create_repository(cloud: Cloud, line: Line, _: str | None) -> Any:
    if line.name in cloud.state["repositories"]:
        raise Refusal("ALREADY_EXISTS: the repository already exists")
    with cloud.change() as state:
        state["repositories"][line.name] = {"format": line.need("repository-format").upper()}


@handles("artifacts docker images list")
def _images(cloud: Cloud, line: Line, _: str | None) -> Any:
    if line.name.split("/")[2] not in cloud.state["repositories"]:
        raise Refusal("NOT_FOUND: the repository was not found")
    found = []
    for image in cloud.state["images"]:
        package, _colon, tag = image.rpartition(":")
        found.append({"package": package, "tags": [tag], "version": "sha256:0"})
    return found


@handles("builds submit")
def _build(cloud: Cloud, line: Line, _: str | None) -> Any:
    image = line.need("substitutions").removeprefix("_IMAGE=")
    config = yaml.safe_load((ROOT / line.need("config")).read_text())
    if config["images"] != ["${_IMAGE}"] or "--tag=${_IMAGE}" not in config["steps"][0]["args"]:
        raise Refusal("the build does not push the image that it is given")
    if config["options"].get("logging") != "CLOUD_LOGGING_ONLY":
        raise Refusal("if 'build.service_account' is specified, the build must say where its log goes")
    account = line.need("service-account").rsplit("/", 1)[-1]
    member = f"serviceAccount:{account}"
    if account not in cloud.state["accounts"]:
        raise Refusal(f"NOT_FOUND: service account {account} does not exist")
    repository = image.split("/")[2]
    wanted = (
        ("roles/artifactregistry.writer", f"repository/{repository}"),
        ("roles/logging.logWriter", "project"),
        ("roles/storage.objectViewer", "project"),
    )
    for role, name in wanted:
        if not cloud.has_role(member, role, name, "project"):
            raise Refusal(f"PERMISSION_DENIED: {account} lacks {role}")
    with cloud.change() as state:
        state["images"].append(image)


@handles("functions list")
def _functions(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [
        {
            "name": f"projects/{cloud.project}/locations/{each['region']}/functions/{name}",
            "labels": {"firebase-functions-codebase": each["codebase"]} if each["codebase"] != "default" else {},
            "state": each.get("state", "ACTIVE"),
            "serviceConfig": {"environmentVariables": each.get("parameters", {})},
            "environment": "GEN_2",
        }
        for name, each in cloud.state["functions"].items()
    ]


@handles("tasks queues describe")
def _queue(cloud: Cloud, line: Line, _: str | None) -> Any:
    line.need("location")
    if line.name not in cloud.state["queues"]:
        raise Refusal(f"NOT_FOUND: queue {line.name} was not found")
    return {"name": line.name, **cloud.state["queues"][line.name]}


@handles("scheduler jobs describe")
def _job(cloud: Cloud, line: Line, _: str | None) -> Any:
    line.need("location")
    if line.name not in cloud.state["jobs"]:
        raise Refusal(f"NOT_FOUND: job {line.name} was not found")
    return {"name": line.name, **cloud.state["jobs"][line.name]}


@handles("logging metrics list")
def _metrics(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [{"name": name} for name in cloud.state["metrics"]]


@handles("logging metrics create")
def _create_metric(cloud: Cloud, line: Line, _: str | None) -> Any:
    line.need("config-from-file")
    if line.name in cloud.state["metrics"]:
        raise Refusal("ALREADY_EXISTS: the metric already exists")
    with cloud.change() as state:
        state["metrics"].append(line.name)


@handles("monitoring dashboards list")
def _dashboards(cloud: Cloud, _line: Line, _: str | None) -> Any:
    return [{"displayName": title} for title in cloud.state["dashboards"]]


@handles("monitoring dashboards create")
def _create_dashboard(cloud: Cloud, line: Line, _: str | None) -> Any:
    with cloud.change() as state:
        state["dashboards"].append("Threadline: connectors")
    return {"name": line.need("config-from-file")}
