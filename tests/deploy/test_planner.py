"""What a deploy does to a project, computed by firebase-tools' own discovery, parameters, planner, and deploy of rules and indexes."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.planner.__main__ import example_parameters, main
from deploy.planner.plan import ROOT, Action, Plan, PlannedFunction, PlanRefused, plan

SHARED = json.loads((ROOT / "deploy/planner/shared_project.json").read_text())
"""An application's functions, among them namesakes of what Threadline's were once called, with rules and indexes."""
PROJECT = "shared"
FUNCTIONS_ACCOUNT = "threadline-functions@shared.iam.gserviceaccount.com"
TO_ITS_OWN_DATABASE = example_parameters(PROJECT, "threadline")
CALLABLES = {
    "threadlineCreateAccount", "threadlinePairAccount", "threadlineSetDesiredState", "threadlineLogoutAccount",
    "threadlineStartConversation", "threadlineCancelRequest", "threadlineResolveRequest", "threadlineCloseGap",
    "threadlineSetAccountLimits", "threadlineAnswerPasskey",
}  # fmt: skip
TRIGGERS = {"threadlineOnIngest", "threadlineOnOutbox", "threadlineOnAlert", "threadlinePostAlert"}


def planned(has: Mapping[str, Any] = SHARED, *, database: str = "threadline", codebase: str | None = None) -> Plan:
    parameters = example_parameters(PROJECT, database)
    return plan(project=PROJECT, parameters=parameters, database=database, has=has, codebase=codebase)


@pytest.fixture(scope="module")
def shared() -> Plan:
    return planned()


@pytest.fixture(scope="module")
def ours(shared: Plan) -> dict[str, PlannedFunction]:
    return {function.name: function for function in shared.functions if function.codebase == "threadline"}


def test_in_a_shared_project_no_function_is_deleted_or_overwritten(shared: Plan) -> None:
    assert shared.functions_to(Action.LEAVE) == sorted(function["id"] for function in SHARED["functions"])
    assert shared.functions_to(Action.DELETE) == []
    assert shared.functions_to(Action.OVERWRITE) == []
    assert len(shared.functions_to(Action.CREATE)) == 17


def test_in_a_shared_project_rules_and_indexes_change_in_threadlines_database_alone(shared: Plan) -> None:
    assert {write.database for write in shared.writes} == {"threadline"}
    assert {write.action for write in shared.writes} == {Action.CREATE}
    assert "security rules" in {write.what for write in shared.writes}


def test_a_next_deploy_overwrites_and_deletes_threadlines_own_alone() -> None:
    own = [
        {"id": "threadlineSend", "region": "europe-west1", "codebase": "threadline", "taskQueueTrigger": {}},
        {"id": "threadlineOfAnOldVersion", "region": "europe-west1", "codebase": "threadline", "callableTrigger": {}},
    ]
    again = planned(SHARED | {"functions": SHARED["functions"] + own})
    assert again.functions_to(Action.OVERWRITE) == ["threadlineSend"]
    assert again.functions_to(Action.DELETE) == ["threadlineOfAnOldVersion"]
    assert again.functions_to(Action.LEAVE) == sorted(function["id"] for function in SHARED["functions"])


def test_the_planner_would_show_harm() -> None:
    """In the application's codebase and database a deploy deletes its functions and indexes, and replaces its rules."""
    harm = planned(database="(default)", codebase="default")
    assert harm.functions_to(Action.DELETE) == ["createAccount", "flush", "on_ingest", "send", "sweep"]
    assert ("index of orders", Action.DELETE) in {(write.what, write.action) for write in harm.writes}
    assert ("security rules", Action.OVERWRITE) in {(write.what, write.action) for write in harm.writes}


def test_no_name_of_a_function_can_be_an_applications(ours: dict[str, PlannedFunction]) -> None:
    assert {name for name in ours if not name.startswith("threadline")} == set()


def test_every_function_runs_in_the_region_and_as_the_account_that_the_parameters_name() -> None:
    elsewhere = TO_ITS_OWN_DATABASE | {"FUNCTIONS_REGION": "us-east1"}
    found = plan(project=PROJECT, parameters=elsewhere, database="threadline", has=SHARED)
    deployed = [function for function in found.functions if function.action is Action.CREATE]
    assert {(function.region, function.service_account) for function in deployed} == {("us-east1", FUNCTIONS_ACCOUNT)}


def test_only_the_accounts_that_call_a_function_may_invoke_it(ours: dict[str, PlannedFunction]) -> None:
    """firebase-tools binds those that a task queue or HTTP function names, all users of a callable, and of a scheduled function
    the account that it runs as. Of an event's function it binds none (lib/deploy/functions/release/fabricator.js)."""
    invokers = {name: function.invoker for name, function in ours.items() if function.invoker is not None}
    assert invokers == {
        "threadlineSend": ("threadline-tasks@shared.iam.gserviceaccount.com", FUNCTIONS_ACCOUNT),
        "threadlineFlush": ("threadline-connector@shared.iam.gserviceaccount.com",),
    }
    by_trigger = {trigger: {name for name, found in ours.items() if found.trigger == trigger} for trigger in KINDS}
    assert by_trigger == KINDS


KINDS = {
    "taskQueueTrigger": {"threadlineSend"},
    "httpsTrigger": {"threadlineFlush"},
    "scheduleTrigger": {"threadlineSweep"},
    "eventTrigger": TRIGGERS,
    "callableTrigger": CALLABLES,
}


def test_triggers_hear_of_the_named_database_alone(ours: dict[str, PlannedFunction]) -> None:
    assert {name: function.database for name, function in ours.items() if function.trigger == "eventTrigger"} == (
        dict.fromkeys(TRIGGERS, "threadline")
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"CONNECTOR_ENDPOINTS": "https://connector.run.app/"}, "CONNECTOR_ENDPOINTS must be https addresses"),
        ({"FUNCTIONS_SERVICE_ACCOUNT": None}, "FUNCTIONS_SERVICE_ACCOUNT is not set"),
        ({"FUNCTIONS_REGION": "eur3"}, "FUNCTIONS_REGION must be the name of a region"),
        ({"FIRESTORE_DATABASE": "Threadline"}, "FIRESTORE_DATABASE must be (default), or"),
    ],
)
def test_a_missing_or_malformed_parameter_stops_the_deploy_with_its_name_and_an_example(
    changes: dict[str, str | None], said: str
) -> None:
    parameters = {name: value for name, value in (TO_ITS_OWN_DATABASE | changes).items() if value is not None}
    with pytest.raises(PlanRefused) as refused:
        plan(project=PROJECT, parameters=parameters, database="threadline", has=SHARED)
    (line,) = (line for line in refused.value.report.splitlines() if said in line)
    (name,) = changes
    assert f"Example: {name}=" in line
    assert "Traceback" not in refused.value.report


def test_the_command_shows_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "create    function threadlineSend in europe-west1, codebase threadline" in shown
    assert "leave     function send in europe-west1, codebase default" in shown
    assert shown[-1].endswith("overwrite 0, delete 0, skip 0, leave 7")
