"""Checks that each function is active, and that each connector service is ready and has exactly one instance."""

from collections.abc import Sequence
from typing import Any

from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from deploy.resources import FUNCTIONS

_CLOUD = frozenset({Need.GOOGLE_CLOUD})
_SCALES = ("autoscaling.knative.dev/minScale", "autoscaling.knative.dev/maxScale")


def _functions(patient: Patient) -> Sequence[Finding]:
    deployment = patient.cloud.deployment
    listed = {each["name"].rsplit("/", 1)[-1]: each for each in patient.cloud.read("functions", "list")}
    found = []
    for function in FUNCTIONS:
        each = listed.get(function.name)
        if each is None:
            todo = f"make deploy project={deployment.project}"
            found.append(wrong("is not deployed", todo, about=function.name))
        elif each.get("state") != "ACTIVE":
            todo = "Read its build's log (Cloud Build), and deploy the functions again."
            found.append(wrong(f"is {str(each.get('state')).lower()}", todo, about=function.name))
    return found or [ok(f"all {len(FUNCTIONS)} are active")]


def _connectors(patient: Patient) -> Sequence[Finding]:
    deployment = patient.cloud.deployment
    listed = patient.cloud.read("run", "services", "list", region=deployment.region)
    by_name = {each["metadata"]["name"]: each for each in listed}
    found: list[Finding] = []
    for name in deployment.connector_services:
        service = by_name.get(name)
        if service is None:
            found.append(wrong("is not deployed", f"make deploy project={deployment.project}", about=name))
        else:
            found += _connector(service, name, deployment.region)
    return found


def _connector(service: Any, name: str, region: str) -> list[Finding]:
    found = []
    if not _is_ready(service):
        todo = f"gcloud run services logs read {name} --region={region} shows why"
        found.append(wrong("its newest revision is not ready", todo, about=name))
    annotations = service.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    if any(str(annotations.get(scale)) != "1" for scale in _SCALES):
        said = "minScale and maxScale are not 1: an address in a lease must lead to one process"
        found.append(wrong(said, "Set minScale and maxScale to 1 (deploy/connector_service.yaml).", about=name))
    return found or [ok("ready, exactly one instance", about=name)]


def _is_ready(service: Any) -> bool:
    conditions = service.get("status", {}).get("conditions", [])
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


CHECKS = (
    Check(name="functions", needs=_CLOUD, examine=_functions),
    Check(name="connector services", needs=_CLOUD, examine=_connectors),
)
