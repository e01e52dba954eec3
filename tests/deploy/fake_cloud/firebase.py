"""The fake `firebase`: projects, rules, indexes and the functions of a codebase, with what the real one refuses or would harm."""

import json
from pathlib import Path
from typing import Any

from deploy.resources import SEND_QUEUE_SETTINGS
from tests.deploy.fake_cloud.cloud import Cloud, Refusal
from tests.deploy.fake_cloud.source import Trigger, queue_invokers, triggers

_OPTIONS = {"--json", "--non-interactive", "--force"}
_VALUES = {"--only", "--project", "--config"}


def run(cloud: Cloud, arguments: list[str], folder: Path) -> Any:
    """`folder` is the current one. Raises Refusal."""
    words, options = _parse(arguments)
    if "--non-interactive" not in options:
        raise Refusal("the fake firebase asks nobody: --non-interactive is missing")
    if words == ["projects:list"]:
        found = [{"projectId": cloud.project, "projectNumber": cloud.number}] if cloud.state["is_firebase"] else []
        return {"status": "success", "result": found}
    if words[:1] == ["projects:addfirebase"]:
        cloud.need_project(words[1])
        cloud.need_api("firebase.googleapis.com")
        with cloud.change() as state:
            state["is_firebase"] = True
        return None
    if words == ["deploy"]:
        return _deploy(cloud, options, folder)
    raise Refusal(f"{' '.join(words)} is not a Firebase command")


def _parse(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    words, options = [], {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if not argument.startswith("--"):
            words.append(argument)
        elif name in _OPTIONS or (name in _VALUES and value):
            options[name] = value
        else:
            raise Refusal(f"error: unknown option '{argument}'")
    return words, options


def _deploy(cloud: Cloud, options: dict[str, str], folder: Path) -> None:
    cloud.need_project(options.get("--project"))
    if not cloud.state["is_firebase"]:
        raise Refusal(f"Failed to get Firebase project {cloud.project}")
    config_path = folder / options.get("--config", "firebase.json")
    config = json.loads(config_path.read_text())
    for only in options["--only"].split(","):
        target, _, part = only.partition(":")
        if target == "firestore":
            _deploy_firestore(cloud, config["firestore"], config_path.parent, is_forced="--force" in options)
        elif target == "functions":
            for codebase in config["functions"]:
                if part in ("", codebase["codebase"]):
                    _deploy_functions(cloud, codebase, config_path.parent, is_forced="--force" in options)
        else:
            raise Refusal(f"{target} is not a deploy target")


def _deploy_firestore(cloud: Cloud, config: dict[str, Any], folder: Path, *, is_forced: bool) -> None:
    cloud.need_api("firestore.googleapis.com")
    cloud.need_api("firebaserules.googleapis.com")
    database = config.get("database", "(default)")
    if database not in cloud.state["databases"]:
        raise Refusal(f"NOT_FOUND: database {database} (the real one would create it in nam5)")
    wanted = json.loads((folder / config["indexes"]).read_text())
    ttls = [[each["collectionGroup"], each["fieldPath"]] for each in wanted["fieldOverrides"] if each.get("ttl")]
    with cloud.change() as state:
        state["rules"][database] = (folder / config["rules"]).read_text()
        for table, new in (("indexes", wanted["indexes"]), ("ttls", ttls)):
            kept = [] if is_forced else state[table].get(database, [])
            state[table][database] = kept + [each for each in new if each not in kept]


def _deploy_functions(cloud: Cloud, config: dict[str, Any], folder: Path, *, is_forced: bool) -> None:
    for api in (
        "cloudfunctions",
        "run",
        "eventarc",
        "pubsub",
        "cloudbuild",
        "artifactregistry",
        "cloudtasks",
        "cloudscheduler",
    ):
        cloud.need_api(f"{api}.googleapis.com")
    if not is_forced:
        raise Refusal("Pass the --force option to deploy functions with a failure policy")
    parameters = _parameters(folder / config["source"] / f".env.{cloud.project}")
    account = parameters["FUNCTIONS_SERVICE_ACCOUNT"]
    if account not in cloud.state["accounts"]:
        raise Refusal(f"Service account {account} does not exist.")
    _check_grants(cloud, account, parameters)
    if cloud.state["faults"].get("eventarc_refusals", 0) > 0:
        cloud.state["faults"]["eventarc_refusals"] -= 1
        raise Refusal(
            "Permission denied while using the Eventarc Service Agent. If you recently started to use Eventarc, it may take a few "
            "minutes before all necessary permissions are propagated to the Service Agent."
        )
    with cloud.change() as state:
        wanted = triggers(folder)
        for name in [name for name, each in state["functions"].items() if each["codebase"] == config["codebase"]]:
            if name not in wanted:
                del state["functions"][name]
        for name, trigger in wanted.items():
            _create(cloud, folder, name, trigger, config["codebase"], parameters)


def _check_grants(cloud: Cloud, account: str, parameters: dict[str, str]) -> None:
    builder = f"serviceAccount:{cloud.number}-compute@developer.gserviceaccount.com"
    if not cloud.has_role(builder, "roles/cloudbuild.builds.builder", "project"):
        raise Refusal("Could not build the function due to a missing permission on the build service account")
    if not cloud.has_role(f"serviceAccount:{account}", "roles/eventarc.eventReceiver", "project"):
        raise Refusal(f"Permission eventarc.events.receiveEvent denied for {account}")
    agent = f"serviceAccount:service-{cloud.number}@gcp-sa-eventarc.iam.gserviceaccount.com"
    if not cloud.has_role(agent, "roles/eventarc.serviceAgent", "project"):
        raise Refusal("the Eventarc agent has no role")
    if parameters["FIRESTORE_DATABASE"] not in cloud.state["databases"]:
        raise Refusal("the database of a trigger does not exist")
    for secret in ("THREADLINE_LOG_HASH_KEY", "THREADLINE_ALERT_WEBHOOK_SECRET"):
        if not cloud.state["secrets"].get(secret, {}).get("versions"):
            raise Refusal(f"In non-interactive mode but have no value for the secret: {secret}")


def _create(cloud: Cloud, folder: Path, name: str, trigger: Trigger, codebase: str, parameters: dict[str, str]) -> None:
    """Binds invokers as firebase-tools' fabricator does: everybody for callables, once; for the queue the accounts that are declared, and no
    other; the functions' own account for the schedule, nobody for events."""
    state, region = cloud.state, parameters["FUNCTIONS_REGION"]
    service = name.lower()
    is_new = name not in state["functions"]
    state["functions"][name] = {"codebase": codebase, "region": region, "trigger": trigger, "parameters": parameters}
    labels = {"goog-managed-by": "cloudfunctions", "firebase-functions-codebase": codebase}
    manifest = {
        "metadata": {"name": service, "labels": labels},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    state["services"][service] = {"manifest": manifest}
    if trigger == "callable" and is_new:
        cloud.bind(f"service/{service}", "allUsers", "roles/run.invoker")
    elif trigger == "queue":
        state["queues"][name] = _queue()
        members = [f"serviceAccount:{parameters[each]}" for each in queue_invokers(folder, name)]
        for resource, role in (
            (f"service/{service}", "roles/run.invoker"),
            (f"queue/{name}", "roles/cloudtasks.enqueuer"),
        ):
            cloud.bind_alone(resource, members, role)
    elif trigger == "schedule":
        state["jobs"][f"firebase-schedule-{name}-{region}"] = {"state": "ENABLED", "schedule": "* * * * *"}
        cloud.bind(
            f"service/{service}", f"serviceAccount:{parameters['FUNCTIONS_SERVICE_ACCOUNT']}", "roles/run.invoker"
        )


def _queue() -> dict[str, Any]:
    """As `gcloud tasks queues describe` shows what firebase-tools has set; rates are floating-point numbers there."""
    shown: dict[str, Any] = {"state": "RUNNING"}
    for path, value in SEND_QUEUE_SETTINGS.items():
        group, _, name = path.partition(".")
        shown.setdefault(group, {})[name] = float(str(value)) if name == "maxDispatchesPerSecond" else value
    return shown


def _parameters(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise Refusal(
            f"In non-interactive mode but have no value for the parameters: {path.name} is missing"
        ) from error
    values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    for name in (
        "CONNECTOR_ENDPOINTS",
        "FUNCTIONS_SERVICE_ACCOUNT",
        "CONNECTOR_SERVICE_ACCOUNT",
        "TASKS_SERVICE_ACCOUNT",
        "FUNCTIONS_REGION",
        "FIRESTORE_DATABASE",
    ):
        if not values.get(name):
            raise Refusal(f"In non-interactive mode but have no value for the parameter {name}")
    return values
