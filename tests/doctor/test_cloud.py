"""The doctor's checks of a Google Cloud project: a healthy deployment, and each fault, which the check for it must find."""

import copy
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.deployment import SEND_RATE, SEND_RETRY
from connector.admin.context import Context
from connector.admin.doctor.canary_row import Ending, RowCanary
from connector.admin.doctor.check import Need, Result
from connector.admin.doctor.cloud.project import CloudProject, Unreadable, find_project
from connector.admin.doctor.examination import Found, examined
from connector.admin.doctor.patient import Patient
from connector.admin.doctor.report import Clock, parse_report
from connector.admin.screen import Screen
from deploy.local_tools import LocalTools
from deploy.resources import SEND_QUEUE_SETTINGS
from tests.deploy.conftest import PROJECT, Site, source_copy
from tests.deploy.fake_cloud.cloud import STATE_VARIABLE, Cloud, State, new_state, save
from tests.deploy.fake_cloud.programs import install
from tests.deploy.fake_cloud.rules_server import serve
from tests.deploy.fake_cloud.tools import InProcessTools

FUNCTIONS = f"threadline-functions@{PROJECT}.iam.gserviceaccount.com"
CONNECTOR = f"threadline-connector@{PROJECT}.iam.gserviceaccount.com"
TASKS = f"threadline-tasks@{PROJECT}.iam.gserviceaccount.com"
DATABASE = "(default)"


@dataclass(frozen=True)
class Deployed:
    state: State
    rules_url: str
    folder: Path

    def tools(self, state: State) -> InProcessTools:
        return InProcessTools(Cloud(state), self.folder, self.rules_url)


@pytest.fixture(autouse=True)
def no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = source_copy(tmp_path_factory.mktemp("doctor") / "source")
    cloud = Cloud(new_state(PROJECT))
    with serve(lambda: cloud) as url:
        assert Site(cloud=cloud, folder=folder, rules_url=url).deploy(shards=2) == 0
        yield Deployed(cloud.state, url, folder)


def patient(project: CloudProject | None, why: str = "", **accounts: str) -> Patient:
    given = {"functionsServiceAccount": FUNCTIONS, "connectorServiceAccount": CONNECTOR} | accounts
    canary = RowCanary(
        ending=Ending.REPORTED,
        waited_s=1.0,
        own_clock=Clock(offset_s=0.0, uncertainty_s=0.1),
        report=parse_report(given),
    )
    context = Context(PROJECT, Screen(out=sys.stdout, errors=sys.stderr, as_json=False))
    return Patient(context=context, canary=canary, wait_s=1.0, cloud_project=project, why_no_cloud=why)


def cloud_findings(of: Patient, monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """The findings of the checks that read the cloud; the others need Firestore."""
    from connector.admin.doctor import examination

    checks = tuple(check for check in examination.CHECKS if Need.GOOGLE_CLOUD in check.needs)
    monkeypatch.setattr(examination, "CHECKS", checks)
    return list(examined(of))


def wrong(found: list[Found]) -> dict[str, set[str]]:
    checks: dict[str, set[str]] = {}
    for each in found:
        if each.finding.result is Result.WRONG:
            checks.setdefault(each.check.name, set()).add(each.finding.about)
    return checks


def test_a_deployment_that_is_well_has_nothing_wrong(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    project = find_project(PROJECT, region=None, database=None, tools=deployed.tools(copy.deepcopy(deployed.state)))
    assert project.deployment.shards == 2
    found = cloud_findings(patient(project), monkeypatch)
    assert {
        (each.check.name, each.finding.result, each.finding.found) for each in found if each.finding.result != "ok"
    } == set()


def unbind(name: str, role: str, email: str) -> Callable[[State], None]:
    def change(state: State) -> None:
        for binding in state["policies"][name]:
            if binding["role"] == role:
                binding["members"].remove(f"serviceAccount:{email}")

    return change


def put(*path: str, value: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        inner: Any = state
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[State], None]:
    def change(state: State) -> None:
        inner: Any = state
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]

    return change


def disable_scheduler(state: State) -> None:
    state["apis"].remove("cloudscheduler.googleapis.com")


def first_index(state: State) -> None:
    state["indexes"][DATABASE][0]["state"] = "CREATING"


def no_index(state: State) -> None:
    del state["indexes"][DATABASE][0]


def no_ttl(state: State) -> None:
    state["ttls"][DATABASE].remove(["whatsapp_ingest", "expireAt"])


def two_instances(state: State) -> None:
    manifest = state["services"]["threadline-connector-0"]["manifest"]
    manifest["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"] = "2"


def not_ready(state: State) -> None:
    state["services"]["threadline-connector-1"]["manifest"]["status"]["conditions"] = [
        {"type": "Ready", "status": "False"}
    ]


JOB = "firebase-schedule-threadlineSweep-europe-west1"
BROKEN: dict[str, tuple[Callable[[State], None], str, str]] = {
    "an API is disabled": (disable_scheduler, "APIs", "cloudscheduler.googleapis.com"),
    "a service account was deleted": (drop("accounts", TASKS), "service accounts", TASKS),
    "a role is missing": (
        unbind("project", "roles/eventarc.eventReceiver", FUNCTIONS), "roles", f"project {PROJECT}",
    ),
    "a secret may not be read": (
        unbind("secret/threadline-engine-store", "roles/secretmanager.secretAccessor", CONNECTOR),
        "roles", "secret threadline-engine-store",
    ),
    "flush may not be called": (
        unbind("service/threadlineflush", "roles/run.invoker", CONNECTOR), "invokers", "Cloud Run service threadlineflush",
    ),
    "a connector may not be called": (
        unbind("service/threadline-connector-1", "roles/run.invoker", FUNCTIONS),
        "invokers", "Cloud Run service threadline-connector-1",
    ),
    "tasks may not be created": (
        unbind("queue/threadlineSend", "roles/cloudtasks.enqueuer", FUNCTIONS), "invokers", "queue threadlineSend",
    ),
    "an index is being built": (first_index, "indexes", "whatsapp_messages: threadId, timestamp"),
    "an index is missing": (no_index, "indexes", "whatsapp_messages: threadId, timestamp"),
    "a TTL policy is missing": (no_ttl, "TTL policies", "whatsapp_ingest.expireAt"),
    "the queue is paused": (put("queues", "threadlineSend", "state", value="PAUSED"), "send queue", "threadlineSend"),
    "the queue's settings were changed": (
        put("queues", "threadlineSend", "rateLimits", "maxDispatchesPerSecond", value=1.0), "send queue", "threadlineSend",
    ),
    "the queue does not exist": (drop("queues", "threadlineSend"), "send queue", "threadlineSend"),
    "the scheduler's job is paused": (put("jobs", JOB, "state", value="PAUSED"), "scheduler job", JOB),
    "the scheduler's job calls in vain": (put("jobs", JOB, "status", value={"code": 7}), "scheduler job", JOB),
    "a function failed to deploy": (
        put("functions", "threadlineOnIngest", "state", value="FAILED"), "functions", "threadlineOnIngest",
    ),
    "a connector is not ready": (not_ready, "connector services", "threadline-connector-1"),
    "a connector may have two instances": (two_instances, "connector services", "threadline-connector-0"),
    "there is no point-in-time recovery": (
        put("databases", DATABASE, "pointInTimeRecoveryEnablement", value="POINT_IN_TIME_RECOVERY_DISABLED"),
        "Firestore backups", "",
    ),
    "there is no backup schedule": (put("schedules", DATABASE, value=[]), "Firestore backups", ""),
    "the database server is stopped": (
        put("sql", "threadline-sessions", "state", value="SUSPENDED"), "Cloud SQL", "threadline-sessions",
    ),
    "the database server makes no backups": (
        put("sql", "threadline-sessions", "settings", "backupConfiguration", "enabled", value=False),
        "Cloud SQL", "threadline-sessions",
    ),
    "a secret has no value": (put("secrets", "THREADLINE_LOG_HASH_KEY", "versions", value=[]), "secrets", "THREADLINE_LOG_HASH_KEY"),
}  # fmt: skip


ALSO: dict[str, dict[str, set[str]]] = {
    "a service account was deleted": {"roles": {f"service account {TASKS}"}},
    "the queue does not exist": {"invokers": {"queue threadlineSend"}},
}
"""Further checks that the same fault breaks."""


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_of_breaking_it_is_found(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    change, check, about = BROKEN[name]
    state = copy.deepcopy(deployed.state)
    change(state)
    project = find_project(PROJECT, region=None, database=None, tools=deployed.tools(state))
    found = cloud_findings(patient(project), monkeypatch)
    assert wrong(found) == {check: {about}, **ALSO.get(name, {})}
    assert all(each.finding.what_to_do for each in found if each.finding.result is Result.WRONG)


def test_a_missing_role_comes_with_the_command_that_grants_it(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copy.deepcopy(deployed.state)
    unbind("service/threadlineflush", "roles/run.invoker", CONNECTOR)(state)
    project = find_project(PROJECT, region=None, database=None, tools=deployed.tools(state))
    (found,) = [each for each in cloud_findings(patient(project), monkeypatch) if each.finding.result is Result.WRONG]
    for part in ("gcloud run services add-iam-policy-binding threadlineflush", CONNECTOR, "roles/run.invoker"):
        assert part in found.finding.what_to_do


def test_accounts_of_the_functions_that_are_not_those_with_the_roles_are_found(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = find_project(PROJECT, region=None, database=None, tools=deployed.tools(copy.deepcopy(deployed.state)))
    other = patient(project, functionsServiceAccount="someone@example.com")
    assert wrong(cloud_findings(other, monkeypatch)) == {"accounts of the functions": {""}}


def test_what_gcloud_refuses_to_show_is_not_checked_and_not_ok(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copy.deepcopy(deployed.state)
    disable_scheduler(state)
    project = find_project(PROJECT, region=None, database=None, tools=deployed.tools(state))
    found = {each.check.name: each.finding for each in cloud_findings(patient(project), monkeypatch)}
    assert found["scheduler job"].result is Result.NOT_CHECKED
    assert "cloudscheduler.googleapis.com" in found["scheduler job"].found


def test_a_project_that_cannot_be_read_says_why() -> None:
    nowhere = LocalTools(folder=Path.cwd(), environment={"PATH": "/nowhere"})
    with pytest.raises(Unreadable, match="gcloud is not installed"):
        find_project(PROJECT, region=None, database=None, tools=nowhere)


def test_without_gcloud_each_check_of_the_cloud_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cloud_findings(patient(None, why="gcloud is not installed"), monkeypatch)
    assert {(each.finding.result, each.finding.found, each.finding.counts) for each in found} == {
        (Result.NOT_CHECKED, "gcloud is not installed", True)
    }


def test_on_an_emulator_the_cloud_is_not_checked_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    found = cloud_findings(patient(None), monkeypatch)
    assert {(each.finding.found, each.finding.counts) for each in found} == {("not on an emulator", False)}


def test_it_reads_through_the_programs_on_the_path(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in production: several `gcloud` at the same time, without a shell."""
    save(Cloud(copy.deepcopy(deployed.state)), tmp_path / "state.json")
    install(tmp_path / "bin")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    environment = {**os.environ, "PATH": path, STATE_VARIABLE: str(tmp_path / "state.json")}
    project = find_project(
        PROJECT, region=None, database=None, tools=LocalTools(folder=tmp_path, environment=environment)
    )
    assert wrong(cloud_findings(patient(project), monkeypatch)) == {}


def test_the_declared_queue_settings_are_those_that_are_deployed() -> None:
    """firebase-tools is given the ones, the doctor compares with the others."""
    assert {
        "rateLimits.maxConcurrentDispatches": SEND_RATE.max_concurrent_dispatches,
        "rateLimits.maxDispatchesPerSecond": SEND_RATE.max_dispatches_per_second,
        "retryConfig.maxAttempts": SEND_RETRY.max_attempts,
        "retryConfig.minBackoff": f"{SEND_RETRY.min_backoff_seconds}s",
        "retryConfig.maxBackoff": f"{SEND_RETRY.max_backoff_seconds}s",
        "retryConfig.maxDoublings": SEND_RETRY.max_doublings,
    } == SEND_QUEUE_SETTINGS
