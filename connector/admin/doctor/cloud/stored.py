"""Checks the stores outside Firestore: the session store's Cloud SQL instance with its backups, and the secrets."""

from collections.abc import Sequence

from connector.admin.doctor.check import Check, Finding, Need, not_checked, ok, wrong
from connector.admin.doctor.cloud.project import Missing
from connector.admin.doctor.patient import Patient
from deploy.deployment import SQL_INSTANCE
from deploy.resources import SECRETS

_CLOUD = frozenset({Need.GOOGLE_CLOUD})


def _sql(patient: Patient) -> Sequence[Finding]:
    deployment = patient.cloud.deployment
    if not deployment.uses_cloud_sql:
        todo = "Look at its backups yourself (docs/backup.md)."
        return [not_checked("the session store is a PostgreSQL of your own", todo, counts=False)]
    listed = patient.cloud.read("sql", "instances", "list")
    instance = next((each for each in listed if each["name"] == SQL_INSTANCE), None)
    if instance is None:
        return [wrong("does not exist", f"make deploy project={deployment.project}", about=SQL_INSTANCE)]
    patch = f"gcloud sql instances patch {SQL_INSTANCE} --project={deployment.project}"
    backups = instance.get("settings", {}).get("backupConfiguration", {})
    found = []
    if instance.get("state") != "RUNNABLE":
        todo = f"{patch} --activation-policy=ALWAYS, where it was stopped"
        found.append(wrong(f"is {str(instance.get('state')).lower()} instead of running", todo, about=SQL_INSTANCE))
    if backups.get("enabled") is not True:
        found.append(wrong("makes no backups", f"{patch} --backup-start-time=02:00", about=SQL_INSTANCE))
    elif backups.get("pointInTimeRecoveryEnabled") is not True:
        todo = f"{patch} --enable-point-in-time-recovery"
        found.append(wrong("has no point-in-time recovery", todo, about=SQL_INSTANCE))
    version = str(instance.get("databaseVersion") or "").replace("POSTGRES_", "PostgreSQL ")
    return found or [ok(f"{version or 'PostgreSQL'}, runs, with backups and point-in-time recovery")]


def _secrets(patient: Patient) -> Sequence[Finding]:
    project = patient.cloud
    found = []
    project.look_up([project.command("secrets", "versions", "list", secret.name) for secret in SECRETS])
    for secret in SECRETS:
        try:
            versions = project.read("secrets", "versions", "list", secret.name)
        except Missing:
            versions = []
        if not any(str(version.get("state")).upper() == "ENABLED" for version in versions):
            todo = f"make deploy project={project.deployment.project}"
            found.append(wrong(f"has no enabled version: {secret.why}", todo, about=secret.name))
    return found or [ok(f"all {len(SECRETS)} have a value")]


CHECKS = (
    Check(name="Cloud SQL", needs=_CLOUD, examine=_sql),
    Check(name="secrets", needs=_CLOUD, examine=_secrets),
)
