"""Checks Firestore's indexes, TTL policies, point-in-time recovery and backups."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import deploy
from connector.admin.doctor.check import Check, Finding, Need, not_checked, ok, wrong
from connector.admin.doctor.patient import Patient

_CLOUD = frozenset({Need.GOOGLE_CLOUD})
INDEXES = Path(deploy.__file__).parents[1] / "firestore.indexes.json"
_NAME = "__name__"
"""Firestore adds the document's name to each index, as its last field."""
_NO_FILE = "firestore.indexes.json is not here: run the doctor from a clone"

Index = tuple[str, str, tuple[tuple[str, str], ...]]


def _indexes(patient: Patient) -> Sequence[Finding]:
    declared = _declared()
    if declared is None:
        return [not_checked(_NO_FILE)]
    database = patient.cloud.deployment.database
    listed = patient.cloud.read("firestore", "indexes", "composite", "list", database=database)
    states = {_index(each, each["name"].split("/collectionGroups/")[1].split("/")[0]): each["state"] for each in listed}
    found = []
    for each in declared["indexes"]:
        index = _index(each, each["collectionGroup"])
        about = f"{index[0]}: {', '.join(path for path, _ in index[2])}"
        state = states.get(index)
        if state is None:
            found.append(wrong("does not exist: its query fails", _deploy_command(patient), about=about))
        elif state != "READY":
            todo = "Wait until it is built; an index of many documents takes a while. Where it needs repair, delete it and deploy it again."
            found.append(wrong(f"is {str(state).lower()} instead of ready: its query fails", todo, about=about))
    return found or [ok(f"all {len(declared['indexes'])} are ready")]


def _ttls(patient: Patient) -> Sequence[Finding]:
    declared = _declared()
    if declared is None:
        return [not_checked(_NO_FILE)]
    database = patient.cloud.deployment.database
    listed = patient.cloud.read("firestore", "fields", "ttls", "list", database=database)
    states = {tuple(each["name"].split("/")[-3::2]): each["ttlConfig"]["state"] for each in listed}
    wanted = [
        (each["collectionGroup"], each["fieldPath"]) for each in declared["fieldOverrides"] if each.get("ttl") is True
    ]
    found = []
    for group, path in wanted:
        state = states.get((group, path))
        if state is None:
            said = "there is no TTL policy: expired documents are never deleted"
            found.append(wrong(said, _deploy_command(patient), about=f"{group}.{path}"))
        elif state == "NEEDS_REPAIR":
            todo = f"gcloud firestore fields ttls update {path} --collection-group={group} --enable-ttl --database={database}"
            found.append(wrong("the TTL policy needs repair", todo, about=f"{group}.{path}"))
    return found or [ok(f"all {len(wanted)} exist")]


def _recovery(patient: Patient) -> Sequence[Finding]:
    project, database = patient.cloud.deployment.project, patient.cloud.deployment.database
    described = patient.cloud.read("firestore", "databases", "describe", database=database)
    schedules = patient.cloud.read("firestore", "backups", "schedules", "list", database=database)
    found = []
    if described.get("pointInTimeRecoveryEnablement") != "POINT_IN_TIME_RECOVERY_ENABLED":
        todo = f"gcloud firestore databases update --database='{database}' --enable-pitr --project={project}"
        found.append(wrong("point-in-time recovery is off", todo))
    if not schedules:
        todo = (
            f"gcloud firestore backups schedules create --database='{database}' --recurrence=daily --retention=7d "
            f"--project={project}"
        )
        found.append(wrong("there is no backup schedule", todo))
    return found or [ok("point-in-time recovery, and a backup schedule")]


def _declared() -> Mapping[str, Any] | None:
    if not INDEXES.is_file():
        return None
    declared: Mapping[str, Any] = json.loads(INDEXES.read_text())
    return declared


def _index(each: Mapping[str, Any], group: str) -> Index:
    return group, str(each.get("queryScope")), tuple(_fields(each["fields"]))


def _fields(fields: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for field in fields:
        if field["fieldPath"] != _NAME:
            yield str(field["fieldPath"]), str(field.get("order") or field.get("arrayConfig"))


def _deploy_command(patient: Patient) -> str:
    return f"make deploy project={patient.cloud.deployment.project}"


CHECKS = (
    Check(name="indexes", needs=_CLOUD, examine=_indexes),
    Check(name="TTL policies", needs=_CLOUD, examine=_ttls),
    Check(name="Firestore backups", needs=_CLOUD, examine=_recovery),
)
