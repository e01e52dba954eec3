"""The fake `gcloud`, continued: Cloud Run services, with what Cloud Run refuses of a manifest."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.fake_cloud.cloud import Cloud, Refusal
from tests.deploy.fake_cloud.command_line import Line
from tests.deploy.fake_cloud.gcloud import Handlers

handles = Handlers()
HANDLERS = handles.by_command

_LABEL = re.compile(r"[a-z0-9_-]{0,63}")


@handles("run services list")
def _list(cloud: Cloud, line: Line, _: str | None) -> Any:
    line.need("region")
    return [each["manifest"] for each in cloud.state["services"].values()]


@handles("run services describe")
def _describe(cloud: Cloud, line: Line, _: str | None) -> Any:
    line.need("region")
    if line.name not in cloud.state["services"]:
        raise Refusal(f"Cannot find service [{line.name}]")
    return cloud.state["services"][line.name]["manifest"]


@handles("run services replace")
def _replace(cloud: Cloud, line: Line, _: str | None) -> Any:
    line.need("region")
    manifest = yaml.safe_load(Path(line.name).read_text())
    name = manifest["metadata"]["name"]
    _check(cloud, manifest)
    former = cloud.state["services"].get(name, {}).get("manifest", {})
    is_new_revision = former.get("spec", {}).get("template") != manifest["spec"]["template"]
    ready = former["status"]["conditions"][0]["status"] if not is_new_revision else _start(cloud)
    with cloud.change() as state:
        state["services"][name] = {
            "manifest": {**manifest, "status": {"conditions": [{"type": "Ready", "status": ready}]}}
        }
    if ready != "True":
        raise Refusal("The user-provided container failed the configured startup probe checks.")


def _start(cloud: Cloud) -> str:
    """Whether a new revision's instance becomes ready, as the condition's status says it."""
    if cloud.state["faults"].get("failed_starts", 0) > 0:
        cloud.state["faults"]["failed_starts"] -= 1
        return "False"
    return "True"


def _check(cloud: Cloud, manifest: dict[str, Any]) -> None:
    """https://cloud.google.com/run/docs/reference/yaml/v1; CPU: https://cloud.google.com/run/docs/configuring/services/cpu"""
    for value in manifest["metadata"].get("labels", {}).values():
        if not isinstance(value, str) or not _LABEL.fullmatch(value):
            raise Refusal(f"metadata.labels: invalid value {value!r}")
    template = manifest["spec"]["template"]
    spec = template["spec"]
    account = spec["serviceAccountName"]
    if account not in cloud.state["accounts"]:
        raise Refusal(f"Service account {account} does not exist.")
    for instance in filter(
        None, template["metadata"]["annotations"].get("run.googleapis.com/cloudsql-instances", "").split(",")
    ):
        _check_sql(cloud, account, instance)
    for container in spec["containers"]:
        _check_container(cloud, container, spec, template["metadata"]["annotations"])


def _check_sql(cloud: Cloud, account: str, instance: str) -> None:
    if instance.split(":")[-1] not in cloud.state["sql"]:
        raise Refusal(f"NOT_FOUND: Cloud SQL instance {instance}")
    if not cloud.has_role(f"serviceAccount:{account}", "roles/cloudsql.client", "project"):
        raise Refusal("revision is not ready: the container could not connect to Cloud SQL")


def _check_container(
    cloud: Cloud, container: dict[str, Any], spec: dict[str, Any], annotations: dict[str, str]
) -> None:
    if f"/{cloud.project}/" in container["image"] and container["image"] not in cloud.state["images"]:
        raise Refusal(f"Image '{container['image']}' not found.")
    cpu = float(container.get("resources", {}).get("limits", {}).get("cpu", "1"))
    if cpu < 1 and (spec["containerConcurrency"] > 1 or annotations["run.googleapis.com/cpu-throttling"] == "false"):
        raise Refusal("Invalid value specified for cpu. Less than 1 needs concurrency 1 and cpu-throttling")
    memory = container.get("resources", {}).get("limits", {}).get("memory", "512Mi")
    if annotations["run.googleapis.com/execution-environment"] == "gen2" and memory in ("128Mi", "256Mi"):
        raise Refusal("The second generation execution environment needs at least 512 MiB")
    for kind in ("startupProbe", "livenessProbe"):
        probe = container.get(kind)
        if probe and probe.get("timeoutSeconds", 1) > probe.get("periodSeconds", 10):
            raise Refusal(f"{kind}.timeout_seconds must be less than or equal to period_seconds")
    startup = container.get("startupProbe", {})
    if startup.get("periodSeconds", 10) * startup.get("failureThreshold", 3) > 240:
        raise Refusal("startupProbe: more than 240 seconds")
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            _check_secret(cloud, spec["serviceAccountName"], entry["valueFrom"]["secretKeyRef"]["name"])


def _check_secret(cloud: Cloud, account: str, secret: str) -> None:
    if not cloud.state["secrets"].get(secret, {}).get("versions"):
        raise Refusal(f"Secret {secret} was not found, or has no version")
    if not cloud.has_role(f"serviceAccount:{account}", "roles/secretmanager.secretAccessor", f"secret/{secret}"):
        raise Refusal(f"revision is not ready: service account {account} must be granted secretAccessor on {secret}")
