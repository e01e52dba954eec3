"""Runs every check on a deployment, in the order in which an operator would repair the faults."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.admin.context import firestore_emulator
from connector.admin.doctor import addresses, canary_request, clocks, round_trips, stores, trigger, versions
from connector.admin.doctor.canary_row import Ending
from connector.admin.doctor.check import Check, Finding, Need, Result, not_checked
from connector.admin.doctor.cloud import apis, firestore, grants, queues, services, stored
from connector.admin.doctor.cloud.project import Unreadable
from connector.admin.doctor.patient import Patient

CHECKS: tuple[Check, ...] = (
    *apis.CHECKS,
    *grants.CHECKS,
    *firestore.CHECKS,
    *stored.CHECKS,
    *services.CHECKS,
    *queues.CHECKS,
    *trigger.CHECKS,
    *versions.CHECKS,
    *round_trips.CHECKS,
    *addresses.CHECKS,
    *stores.CHECKS,
    *clocks.CHECKS,
    *canary_request.CHECKS,
)


@dataclass(frozen=True, kw_only=True)
class Found:
    check: Check
    finding: Finding


def examined(patient: Patient) -> Iterator[Found]:
    for check in CHECKS:
        for finding in _findings(check, patient):
            yield Found(check=check, finding=finding)


def overall(found: Sequence[Found]) -> Result:
    """The worst result that counts."""
    results = {each.finding.result for each in found if each.finding.counts}
    return next((result for result in (Result.WRONG, Result.NOT_CHECKED) if result in results), Result.OK)


def _findings(check: Check, patient: Patient) -> Sequence[Finding]:
    if Need.GOOGLE_CLOUD in check.needs and firestore_emulator():
        return [not_checked("not on an emulator", counts=False)]
    if Need.GOOGLE_CLOUD in check.needs and patient.cloud_project is None:
        return [not_checked(patient.why_no_cloud)]
    if Need.REPORT in check.needs and patient.canary.ending is not Ending.REPORTED:
        return [not_checked("this check needs the functions' report; see the check 'ingest trigger'")]
    try:
        return check.examine(patient) or [not_checked("no connector answered")]
    except Unreadable as why:
        return [not_checked(str(why), "Look whether gcloud works, and whether you may read this: `gcloud auth list`.")]
