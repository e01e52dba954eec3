"""A deploy on a fake cloud: what exists afterwards, in which order it was made, and that a second one changes nothing."""

import pytest

from deploy.deployment import Deployment
from deploy.resources import FUNCTIONS
from deploy.roles import Kind, made_by_deploy
from tests.deploy.conftest import PROJECT, Site
from tests.deploy.fake_cloud import firebase

_POLICIES = {
    Kind.PROJECT: "project",
    Kind.SERVICE_ACCOUNT: "account",
    Kind.SECRET: "secret",
    Kind.SERVICE: "service",
    Kind.QUEUE: "queue",
    Kind.REPOSITORY: "repository",
}
_ALWAYS_AGAIN = ("deploy --only=", f"--project {PROJECT} make-super-admin", f"--project {PROJECT} create")
"""Commands that a deploy runs each time, since they find out themselves what has changed."""


def test_a_deploy_into_an_empty_project_leaves_everything_that_is_declared(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.deploy(shards=2) == 0, capsys.readouterr().err
    state = site.cloud.state
    assert set(state["functions"]) == {function.name for function in FUNCTIONS}
    assert {"threadline-connector-0", "threadline-connector-1"} <= state["services"].keys()
    assert state["databases"]["(default)"]["pointInTimeRecoveryEnablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert state["databases"]["(default)"]["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED"
    assert state["schedules"]["(default)"] == [{"dailyRecurrence": {}, "retention": "7d"}]
    assert state["rules"]["(default)"]
    assert state["ttls"]["(default)"]
    assert (state["admins"], state["whatsapp_accounts"]) == (["ana@example.com"], ["sales-1"])
    for grant in made_by_deploy(Deployment(project=PROJECT, project_number=site.cloud.number, shards=2)):
        name = _POLICIES[grant.resource.kind]
        if grant.resource.kind is not Kind.PROJECT:
            name += f"/{grant.resource.name}"
        assert site.cloud.has_role(grant.member, grant.role, name), grant


def test_functions_and_connector_know_each_other_by_the_addresses_that_they_have(site: Site) -> None:
    assert site.deploy(shards=2) == 0
    functions = site.cloud.state["functions"]["threadlineSend"]["parameters"]
    endpoints = []
    for shard in range(2):
        manifest = site.cloud.state["services"][f"threadline-connector-{shard}"]["manifest"]
        (container,) = (
            each for each in manifest["spec"]["template"]["spec"]["containers"] if each["name"] == "connector"
        )
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        endpoints.append(environment["PUBLIC_ENDPOINT"])
        assert environment["FUNCTIONS_SERVICE_ACCOUNT"] == functions["FUNCTIONS_SERVICE_ACCOUNT"]
        assert environment["FLUSH_URL"] == f"https://europe-west1-{PROJECT}.cloudfunctions.net/threadlineFlush"
    assert functions["CONNECTOR_ENDPOINTS"] == ",".join(endpoints)


def test_a_second_deploy_changes_nothing(site: Site) -> None:
    assert site.deploy() == 0
    before = {**site.cloud.state, "log": [], "changes": 0}
    made = len(site.changes)
    assert site.deploy() == 0
    assert {**site.cloud.state, "log": [], "changes": 0} == before
    assert [line for line in site.changes[made:] if not line.startswith(_ALWAYS_AGAIN)] == []


def test_a_firebase_deploy_by_hand_leaves_the_functions_their_right_to_create_tasks(site: Site) -> None:
    """firebase-tools takes the queue's role from each account that the function does not name."""
    assert site.deploy() == 0
    options = ["--only=functions:threadline", f"--config=firebase.{PROJECT}.json", "--force", "--non-interactive"]
    firebase.run(site.cloud, ["deploy", f"--project={PROJECT}", *options], site.folder)
    functions = f"serviceAccount:threadline-functions@{PROJECT}.iam.gserviceaccount.com"
    assert site.cloud.has_role(functions, "roles/cloudtasks.enqueuer", "queue/threadlineSend")


def test_what_a_step_needs_is_made_before_it(site: Site) -> None:
    """The fake cloud refuses most wrong orders; this test covers those that it does not notice."""
    assert site.deploy() == 0
    first: dict[str, int] = {}
    for at, line in enumerate(site.changes):
        for words in (
            "services enable",
            "firestore databases create",
            "deploy --only=firestore",
            "builds submit",
            "run services replace",
            "deploy --only=functions",
            "run services add-iam-policy-binding threadline-connector-0",
            f"--project {PROJECT} make-super-admin",
        ):
            if line.startswith(words):
                first.setdefault(words, at)
    assert list(first.values()) == sorted(first.values())
    assert len(first) == 8, (
        "a connector serves the functions of the version before, so it is deployed first (docs/rollout.md)"
    )


def test_another_shard_is_added_beside_the_first(site: Site) -> None:
    assert site.deploy() == 0
    made = len(site.changes)
    assert site.deploy(shards=2) == 0
    replaced = [line for line in site.changes[made:] if line.startswith("run services replace")]
    assert len(replaced) == 1
    assert "threadline-connector-1" in replaced[0]
    assert (
        "threadline-connector-1" in site.cloud.state["functions"]["threadlineSend"]["parameters"]["CONNECTOR_ENDPOINTS"]
    )


def test_another_image_is_rolled_out_and_nothing_else(site: Site) -> None:
    assert site.deploy(tag="v1") == 0
    made = len(site.changes)
    assert site.deploy(tag="v2") == 0
    changed = [line for line in site.changes[made:] if not line.startswith(_ALWAYS_AGAIN)]
    assert [" ".join(line.split()[:3]) for line in changed] == ["builds submit .", "run services replace"]


def test_an_image_that_exists_is_not_built(site: Site) -> None:
    assert site.deploy(image="us-docker.pkg.dev/another-project/images/connector:v1") == 0
    assert not [line for line in site.changes if line.startswith("builds")]


def test_what_the_operator_wrote_into_the_parameters_stays(site: Site) -> None:
    path = site.folder / f"functions/.env.{PROJECT}"
    path.write_text("# ours\nALERT_WEBHOOK_URL=https://example.com/alerts\nCONNECTOR_ENDPOINTS=https://old.run.app\n")
    assert site.deploy() == 0
    lines = path.read_text().splitlines()
    assert "ALERT_WEBHOOK_URL=https://example.com/alerts" in lines
    assert "# ours" in lines
    assert len([line for line in lines if line.startswith("CONNECTOR_ENDPOINTS=")]) == 1


def test_a_postgresql_of_the_operator_s_is_used_in_place_of_cloud_sql(site: Site) -> None:
    store = "postgres://engine:correct-horse@db.example.com/engine"
    assert site.deploy(store=store) == 0
    assert site.cloud.state["sql"] == {}
    assert [version["value"] for version in site.cloud.state["secrets"]["threadline-engine-store"]["versions"]] == [
        store
    ]
    assert site.deploy(store=store) == 0
    assert len(site.cloud.state["secrets"]["threadline-engine-store"]["versions"]) == 1
    assert site.deploy(store=store.replace("horse", "donkey")) == 0
    assert len(site.cloud.state["secrets"]["threadline-engine-store"]["versions"]) == 2


def test_the_database_s_password_is_the_one_of_the_address(site: Site) -> None:
    assert site.deploy() == 0
    (version,) = site.cloud.state["secrets"]["threadline-engine-store"]["versions"]
    password = site.cloud.state["sql"]["threadline-sessions"]["users"]["engine"]
    assert version["value"] == (
        f"postgres://engine:{password}@/engine?host=/cloudsql/{PROJECT}:europe-west1:threadline-sessions"
    )
    assert len(password) >= 32


def test_a_secret_that_was_lost_is_made_again_and_the_database_s_password_with_it(site: Site) -> None:
    assert site.deploy() == 0
    del site.cloud.state["secrets"]["threadline-engine-store"]
    assert site.deploy() == 0
    (version,) = site.cloud.state["secrets"]["threadline-engine-store"]["versions"]
    assert f":{site.cloud.state['sql']['threadline-sessions']['users']['engine']}@" in version["value"]


def test_a_callable_whose_first_creation_failed_is_opened_by_the_next_deploy(site: Site) -> None:
    """firebase-tools binds everybody when it creates a callable, and never again."""
    assert site.deploy() == 0
    del site.cloud.state["policies"]["service/threadlinecreateaccount"]
    assert site.deploy() == 0
    assert site.cloud.has_role("allUsers", "roles/run.invoker", "service/threadlinecreateaccount")


def test_what_somebody_took_away_is_put_back(site: Site) -> None:
    """A role, a backup schedule, a protection, a metric."""
    assert site.deploy() == 0
    state = site.cloud.state
    state["policies"]["project"] = [each for each in state["policies"]["project"] if "cloudsql" not in each["role"]]
    state["schedules"]["(default)"] = []
    state["databases"]["(default)"]["deleteProtectionState"] = "DELETE_PROTECTION_DISABLED"
    state["metrics"] = []
    assert site.deploy() == 0
    connector = f"serviceAccount:threadline-connector@{PROJECT}.iam.gserviceaccount.com"
    assert site.cloud.has_role(connector, "roles/cloudsql.client", "project")
    assert state["schedules"]["(default)"]
    assert state["databases"]["(default)"]["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED"
    assert len(state["metrics"]) == 2
