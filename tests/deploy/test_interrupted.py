"""A deploy that fails anywhere goes on from there when it is run again, and says what failed."""

import copy
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import deploy
from deploy.command import GCLOUD, Answer, Command, CommandFailed
from deploy.execution import Execution, StepFailed
from deploy.local_tools import LocalTools
from deploy.parameters import Parameters
from deploy.step import Item, Step
from tests.deploy.conftest import PROJECT, Site


def outcome(site: Site) -> dict[str, Any]:
    """What a deploy leaves in the cloud; of random values, only that there is one."""
    state = copy.deepcopy(site.cloud.state)
    for name in ("log", "changes", "faults"):
        del state[name]
    for secret in state["secrets"].values():
        secret["versions"] = len(secret["versions"])
    for instance in state["sql"].values():
        instance["users"] = {name: bool(password) for name, password in instance["users"].items()}
    for service in state["services"].values():
        service["manifest"].get("spec", {}).get("template", {}).get("metadata", {}).pop("labels", None)
    return state


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["fail_before", "fail_after"])
def test_after_a_failure_at_any_change_the_same_command_ends_as_if_nothing_had_happened(
    site: Site, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`fail_before`: the change is not made. `fail_after`: it is made, and its answer is lost."""
    empty = copy.deepcopy(site.cloud.state)
    assert site.deploy() == 0
    wanted, changes = outcome(site), site.cloud.state["changes"]
    assert changes > 40
    for number in range(1, changes + 1):
        site.cloud.state = {**copy.deepcopy(empty), "faults": {fault: number}}
        capsys.readouterr()
        assert site.deploy() == 1, f"change {number}"
        said = capsys.readouterr().err
        assert "Failed in step" in said
        assert "Run the same command again" in said
        assert "  $ " in said
        site.cloud.state["faults"] = {}
        assert site.deploy() == 0, f"after change {number}: {capsys.readouterr().err}"
        assert outcome(site) == wanted, f"after change {number}"
        store = site.cloud.state["secrets"]["threadline-engine-store"]["versions"][-1]["value"]
        assert site.cloud.state["sql"]["threadline-sessions"]["users"]["engine"] in store


def test_it_waits_for_eventarc_and_says_so(site: Site) -> None:
    site.cloud.state["faults"] = {"eventarc_refusals": 3}
    assert site.deploy() == 0
    waited = [line for line in site.said if "waiting: Eventarc's service agent has no permissions yet" in line]
    assert len(waited) == 3


def test_a_connector_that_did_not_start_is_started_anew_by_the_next_deploy(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cloud Run makes no new revision of a template that is the same."""
    site.cloud.state["faults"] = {"failed_starts": 1}
    assert site.deploy() == 1
    assert "run services logs read" in capsys.readouterr().err
    assert site.deploy() == 0


def test_without_gcloud_it_says_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tools = LocalTools(folder=tmp_path, environment={}, programs={GCLOUD: [str(tmp_path / "gcloud")]})
    assert deploy(Parameters(project=PROJECT), tools, lambda _: None) == 1
    assert "is not installed, or is not on PATH" in capsys.readouterr().err


def test_without_credentials_nothing_is_changed_and_the_advice_says_how_to_sign_in(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.cloud.state["faults"] = {"signed_out": True}
    assert site.deploy() == 1
    assert site.changes == []
    assert "gcloud auth application-default login" in capsys.readouterr().err


def test_a_super_admin_who_has_not_signed_in_yet_is_the_last_thing_that_is_missing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.cloud.state["faults"] = {"unknown_user": True}
    assert site.deploy() == 1
    said = capsys.readouterr().err
    assert "there is no user ana@example.com" in said
    assert "must have signed in" in said
    assert "threadline-connector-0" in site.cloud.state["services"]


@pytest.mark.parametrize(
    ("status", "ends_with"), [(1, 1), (2, 0)], ids=["something is wrong", "not all could be checked"]
)
def test_what_the_doctor_finds_is_shown_and_decides(
    site: Site, status: int, ends_with: int, capsys: pytest.CaptureFixture[str]
) -> None:
    site.cloud.state["faults"] = {"doctor": status}
    assert site.deploy() == ends_with
    assert "what the doctor found" in "".join(site.said) + capsys.readouterr().err


class _Failing:
    """Tools whose every command fails in the same way."""

    def __init__(self, errors: str) -> None:
        self.errors = errors
        self.tries = 0

    def run(self, command: Command) -> Answer:
        self.tries += 1
        raise CommandFailed(command, Answer(status=1, out="", errors=self.errors))

    def rules(self, project: str, database: str) -> None: ...

    def read(self, path: object) -> None: ...

    def write(self, path: object, text: str) -> None: ...


@pytest.mark.parametrize(
    ("errors", "most_s"),
    [("INVALID_ARGUMENT: no such region", 0.0), ("SERVICE_DISABLED", 600.0), ("Eventarc Service Agent", 900.0)],
)
def test_it_waits_only_where_that_helps_and_not_for_ever(errors: str, most_s: float) -> None:
    tools = _Failing(errors)
    slept: list[float] = []
    execution = Execution(
        tools=tools, say=lambda _: None, pause_s=15.0, sleep=slept.append, clock=lambda: float(sum(slept))
    )
    step = Step(name="any", why="any", items=(Item(name="any", commands=(Command(arguments=("gcloud",)),)),))
    with pytest.raises(StepFailed):
        execution.run([step], total=1)
    assert sum(slept) == most_s
    assert tools.tries == most_s / 15.0 + 1
