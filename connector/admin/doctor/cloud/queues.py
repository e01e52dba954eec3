"""Checks the send queue with its settings, and the scheduler job that calls the sweeper each minute."""

from collections.abc import Mapping, Sequence
from typing import Any

from connector.admin.doctor.check import Check, Finding, Need, ok, wrong
from connector.admin.doctor.cloud.project import Missing
from connector.admin.doctor.patient import Patient
from deploy.resources import SEND_QUEUE, SEND_QUEUE_SETTINGS, SWEEP_SCHEDULE, sweep_job

_CLOUD = frozenset({Need.GOOGLE_CLOUD})


def _queue(patient: Patient) -> Sequence[Finding]:
    deployment = patient.cloud.deployment
    try:
        queue = patient.cloud.read("tasks", "queues", "describe", SEND_QUEUE, location=deployment.region)
    except Missing:
        return [wrong("does not exist", f"make deploy project={deployment.project}", about=SEND_QUEUE)]
    where = f"--location={deployment.region} --project={deployment.project}"
    found = []
    if queue.get("state") != "RUNNING":
        todo = f"gcloud tasks queues resume {SEND_QUEUE} {where}"
        found.append(wrong(f"is {str(queue.get('state')).lower()}: no message is sent", todo, about=SEND_QUEUE))
    changed = {
        name: _setting(queue, name) for name, value in SEND_QUEUE_SETTINGS.items() if _setting(queue, name) != value
    }
    if changed:
        said = ", ".join(f"{name} is {now}, and not {SEND_QUEUE_SETTINGS[name]}" for name, now in changed.items())
        found.append(wrong(said, f"make deploy project={deployment.project}", about=SEND_QUEUE))
    return found or [ok("runs, with the settings that are deployed")]


def _job(patient: Patient) -> Sequence[Finding]:
    deployment = patient.cloud.deployment
    name = sweep_job(deployment.region)
    try:
        job = patient.cloud.read("scheduler", "jobs", "describe", name, location=deployment.region)
    except Missing:
        todo = f"make deploy project={deployment.project}"
        return [wrong("does not exist: lost events are never processed", todo, about=name)]
    where = f"--location={deployment.region} --project={deployment.project}"
    found = []
    if job.get("state") != "ENABLED":
        said = f"is {str(job.get('state')).lower()}: lost events are not processed"
        found.append(wrong(said, f"gcloud scheduler jobs resume {name} {where}", about=name))
    if job.get("schedule") != SWEEP_SCHEDULE:
        said = f"its schedule is {job.get('schedule')} instead of {SWEEP_SCHEDULE}"
        found.append(wrong(said, f"make deploy project={deployment.project}", about=name))
    if job.get("status", {}).get("code"):
        said = f"its last call failed (code {job['status']['code']})"
        found.append(wrong(said, "Read the log of threadlineSweep, and see its invoker.", about=name))
    return found or [ok("enabled, each minute")]


def _setting(queue: Mapping[str, Any], path: str) -> object:
    """`rateLimits.maxConcurrentDispatches`, say; numbers without their form: gcloud prints 500.0 and 500."""
    group, _, name = path.partition(".")
    value = queue.get(group, {}).get(name)
    return int(value) if isinstance(value, float) and value.is_integer() else value


CHECKS = (
    Check(name="send queue", needs=_CLOUD, examine=_queue),
    Check(name="scheduler job", needs=_CLOUD, examine=_job),
)
