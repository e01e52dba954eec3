"""The declared resources fit the code that they are for."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.params import PARAMETERS, complaints
from deploy.deployment import Account, Deployment, InvalidDeployment
from deploy.firebase_config import deployment_config
from deploy.resources import CODEBASE, FUNCTION_PREFIX, FUNCTIONS, SECRETS, SEND_QUEUE, Caller
from deploy.roles import Grant, GrantedBy, Kind, grants, made_by_deploy
from deploy.steps.functions import parameters
from deploy.tables import PAGES, with_tables
from local.project import ROOT

HERE = Deployment(project="my-company-inbox", project_number="123456789012", shards=2)


def test_every_deployed_function_is_declared() -> None:
    exported = "import json, sys; sys.path.insert(0, 'functions'); import main; print(' '.join(main.__all__))"
    run = subprocess.run([sys.executable, "-c", exported], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {function.name for function in FUNCTIONS} == set(run.stdout.split())


def test_every_function_has_the_prefix_and_its_send_queue_the_name_of_its_function() -> None:
    assert all(function.name.startswith(FUNCTION_PREFIX) for function in FUNCTIONS)
    assert SEND_QUEUE in {function.name for function in FUNCTIONS if function.caller is Caller.TASKS}
    assert CODEBASE == FUNCTION_PREFIX


def test_addresses_are_known_before_anything_exists() -> None:
    assert HERE.connector_endpoints == [
        "https://threadline-connector-0-123456789012.europe-west1.run.app",
        "https://threadline-connector-1-123456789012.europe-west1.run.app",
    ]
    assert HERE.function_url("threadlineFlush") == (
        "https://europe-west1-my-company-inbox.cloudfunctions.net/threadlineFlush"
    )


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"project": "My Project"}, "project"),
        ({"project_number": "my-project"}, "project_number"),
        ({"region": "Belgium"}, "region"),
        ({"database": "d"}, "database"),
        ({"shards": 0}, "shards"),
    ],
)
def test_a_malformed_parameter_is_refused_by_its_name(changed: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidDeployment, match=name):
        Deployment(**{"project": "my-company-inbox", "project_number": "1", **changed})  # type: ignore[arg-type]


def of(account: Account, deployment: Deployment = HERE) -> set[tuple[str, str]]:
    member = f"serviceAccount:{deployment.email(account)}"
    return {(grant.role, grant.resource.name) for grant in made_by_deploy(deployment) if grant.member == member}


def test_the_connector_may_use_what_it_calls_and_nothing_else() -> None:
    assert of(Account.CONNECTOR) == {
        ("roles/datastore.user", "my-company-inbox"),
        ("roles/cloudsql.client", "my-company-inbox"),
        ("roles/monitoring.metricWriter", "my-company-inbox"),
        ("roles/logging.logWriter", "my-company-inbox"),
        ("roles/secretmanager.secretAccessor", "threadline-engine-store"),
        ("roles/secretmanager.secretAccessor", "THREADLINE_LOG_HASH_KEY"),
        ("roles/run.invoker", "threadlineflush"),
    }


def test_the_functions_may_use_what_they_call_and_nothing_else() -> None:
    assert of(Account.FUNCTIONS) == {
        ("roles/datastore.user", "my-company-inbox"),
        ("roles/eventarc.eventReceiver", "my-company-inbox"),
        ("roles/iam.serviceAccountUser", "threadline-tasks@my-company-inbox.iam.gserviceaccount.com"),
        ("roles/secretmanager.secretAccessor", "THREADLINE_LOG_HASH_KEY"),
        ("roles/secretmanager.secretAccessor", "THREADLINE_ALERT_WEBHOOK_SECRET"),
        ("roles/cloudtasks.enqueuer", "threadlineSend"),
        ("roles/run.invoker", "threadlineoningest"),
        ("roles/run.invoker", "threadlineonoutbox"),
        ("roles/run.invoker", "threadlineonalert"),
        ("roles/run.invoker", "threadlinepostalert"),
        ("roles/run.invoker", "threadlinesweep"),
        ("roles/run.invoker", "threadline-connector-0"),
        ("roles/run.invoker", "threadline-connector-1"),
    }


def test_a_task_s_token_opens_the_send_function_alone() -> None:
    assert of(Account.TASKS) == {("roles/run.invoker", "threadlinesend")}


def test_without_cloud_sql_nobody_gets_its_role() -> None:
    own_postgresql = Deployment(project="my-company-inbox", project_number="1", uses_cloud_sql=False)
    assert not [grant for grant in grants(own_postgresql) if grant.role == "roles/cloudsql.client"]


def test_a_named_database_s_grants_leave_the_other_databases_closed() -> None:
    named = Deployment(project="my-company-inbox", project_number="1", database="threadline")
    users = [grant for grant in grants(named) if grant.role == "roles/datastore.user"]
    assert users
    for grant in users:
        assert grant.condition is not None
        assert grant.condition.expression == 'resource.name == "projects/my-company-inbox/databases/threadline"'


def test_no_role_of_ours_is_a_basic_one_or_an_admin_s() -> None:
    for grant in made_by_deploy(HERE):
        assert grant.role.removeprefix("roles/") not in ("owner", "editor", "viewer")
        assert "dmin" not in grant.role


def test_only_callables_are_open_to_everybody() -> None:
    def everybody(grant: Grant) -> bool:
        return grant.member == "allUsers"

    open_services = {grant.resource.name for grant in grants(HERE) if everybody(grant)}
    assert open_services == {function.service for function in FUNCTIONS if function.caller is Caller.PEOPLE}
    assert all(grant.granted_by is GrantedBy.FIREBASE for grant in grants(HERE) if everybody(grant))


def test_every_secret_has_readers_on_the_secret_itself() -> None:
    readable = {grant.resource.name for grant in grants(HERE) if grant.resource.kind is Kind.SECRET}
    assert readable == {secret.name for secret in SECRETS}


def test_a_named_database_gets_rules_and_indexes_and_the_default_one_none() -> None:
    base = {"firestore": {"rules": "firestore.rules", "indexes": "firestore.indexes.json"}, "functions": []}
    assert deployment_config(base, "threadline")["firestore"] == {
        "database": "threadline",
        "rules": "firestore.rules",
        "indexes": "firestore.indexes.json",
    }
    assert deployment_config(base, "(default)") == base


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_the_documentation_are_those_of_the_data(page: Path) -> None:
    """`python -m deploy.tables` writes them."""
    text = page.read_text()
    assert "<!-- table: " in text
    assert with_tables(text) == text


@pytest.mark.parametrize("database", ["(default)", "threadline"])
def test_the_functions_take_the_parameters_that_a_deploy_writes(database: str) -> None:
    deployment = Deployment(project="my-company-inbox", project_number="123456789012", shards=2, database=database)
    written = dict(line.split("=", 1) for line in parameters(deployment, None).splitlines())
    assert complaints(written) == []
    defaults = {parameter.name for parameter in PARAMETERS if parameter.default is not None}
    assert {parameter.name for parameter in PARAMETERS} - written.keys() <= defaults
