"""Checks that the APIs are enabled."""

from collections.abc import Sequence

from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.patient import Patient
from deploy.resources import APIS


def _examine(patient: Patient) -> Sequence[Finding]:
    project = patient.cloud
    enabled = {each["config"]["name"] for each in project.read("services", "list", enabled=None)}
    wanted = [api for api in APIS if project.deployment.uses_cloud_sql or not api.only_with_cloud_sql]
    missing = [api for api in wanted if api.name not in enabled]
    if not missing:
        return [ok(f"all {len(wanted)} are enabled")]
    return [
        wrong(
            f"not enabled: {api.why}",
            f"gcloud services enable {api.name} --project={project.deployment.project}",
            about=api.name,
        )
        for api in missing
    ]


CHECKS = (Check(name="APIs", needs=frozenset({Need.GOOGLE_CLOUD}), examine=_examine),)
