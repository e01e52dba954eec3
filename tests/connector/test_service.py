"""The service of a connector, as Cloud Run gets it, fits what the connector reads and needs, and what Cloud Run takes."""

from typing import Any

import pytest
import yaml

from connector import health
from connector.settings import read_settings
from core.timing import Timing
from deploy.deployment import Deployment
from deploy.service_template import UnfitTemplate, digest_of, fill, render
from deploy.steps.functions import parameters
from local.project import ROOT

PATH = ROOT / "deploy/connector_service.yaml"
HERE = Deployment(project="my-company-inbox", project_number="123456789012", shards=2)
IMAGE = "europe-west1-docker.pkg.dev/my-company-inbox/threadline/connector:v1"


def rendered(deployment: Deployment = HERE, shard: int = 1, image: str = IMAGE) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(render(PATH.read_text(), deployment, shard, image))
    return found


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = rendered()["spec"]["template"]
    return found


def connector(template: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in template["spec"]["containers"] if each["name"] == "connector")
    return dict(found)


def plain_environment(template: dict[str, Any]) -> dict[str, str]:
    """Without what comes from a secret."""
    container = connector(template)
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def test_a_shard_is_one_instance_whose_cpu_is_always_on(template: dict[str, Any]) -> None:
    annotations = template["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/minScale"] == annotations["autoscaling.knative.dev/maxScale"] == "1"
    assert annotations["run.googleapis.com/cpu-throttling"] == "false"


def test_its_environment_with_the_platforms_port_is_all_that_the_connector_needs(template: dict[str, Any]) -> None:
    container = connector(template)
    environment = plain_environment(template)
    given = {"PORT": str(container["ports"][0]["containerPort"]), "ENGINE_STORE": "postgres://from-the-secret/engine"}
    settings = read_settings(environment | given)
    assert settings.public_endpoint == HERE.connector_endpoint(1)
    assert settings.timing == Timing()


def test_the_store_that_holds_the_sessions_keys_is_a_secret(template: dict[str, Any]) -> None:
    container = connector(template)
    (store,) = (entry for entry in container["env"] if entry["name"] == "ENGINE_STORE")
    assert "value" not in store
    assert store["valueFrom"]["secretKeyRef"]["name"]


def test_it_takes_calls_from_the_account_that_the_functions_run_as(template: dict[str, Any]) -> None:
    theirs = dict(line.split("=", 1) for line in parameters(HERE, None).splitlines())
    assert plain_environment(template)["FUNCTIONS_SERVICE_ACCOUNT"] == theirs["FUNCTIONS_SERVICE_ACCOUNT"]
    assert template["spec"]["serviceAccountName"] == theirs["CONNECTOR_SERVICE_ACCOUNT"]
    assert plain_environment(template)["FIRESTORE_DATABASE"] == theirs["FIRESTORE_DATABASE"]


def test_every_setting_that_it_names_is_documented(template: dict[str, Any]) -> None:
    container = connector(template)
    documented = (ROOT / "docs/architecture.md").read_text()
    assert [entry["name"] for entry in container["env"] if f"`{entry['name']}`" not in documented] == []


def test_a_request_may_take_as_long_as_a_send(template: dict[str, Any]) -> None:
    assert template["spec"]["timeoutSeconds"] > Timing().post_s


def test_the_metrics_container_reads_what_the_connector_serves(template: dict[str, Any]) -> None:
    """It is given no settings: then it reads localhost:8080/metrics."""
    assert connector(template)["ports"][0]["containerPort"] == 8080
    assert (
        template["metadata"]["annotations"]["run.googleapis.com/container-dependencies"] == '{"metrics":["connector"]}'
    )
    (sidecar,) = (each for each in template["spec"]["containers"] if each["name"] == "metrics")
    assert not {"env", "ports", "volumeMounts"} & set(sidecar)


def test_a_probe_waits_longer_than_readiness_takes_to_find_out(template: dict[str, Any]) -> None:
    probe = connector(template)["startupProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["timeoutSeconds"] > health.LIMIT_S
    assert probe["timeoutSeconds"] <= probe["periodSeconds"], "Cloud Run refuses it"
    assert probe["periodSeconds"] * probe["failureThreshold"] <= 240, "Cloud Run refuses it"


def test_no_container_is_below_the_cpu_that_always_on_demands(template: dict[str, Any]) -> None:
    for container in template["spec"]["containers"]:
        assert float(container.get("resources", {}).get("limits", {}).get("cpu", "1")) >= 1


def test_a_postgresql_of_the_operators_needs_no_cloud_sql() -> None:
    theirs = Deployment(project="my-company-inbox", project_number="1", uses_cloud_sql=False)
    assert "cloudsql" not in str(rendered(theirs, 0)["spec"])


def test_the_digest_changes_with_what_is_deployed_and_with_nothing_else() -> None:
    template = PATH.read_text()
    assert digest_of(render(template, HERE, 0, IMAGE)) == digest_of(render(template, HERE, 0, IMAGE))
    assert digest_of(render(template, HERE, 0, IMAGE)) != digest_of(render(template, HERE, 0, f"{IMAGE}2"))


@pytest.mark.parametrize(
    ("template", "named"),
    [("name: ${SERVICE}\nregion: ${PLACE}\n", "PLACE"), ("kind: Service\n", "SERVICE")],
    ids=["a variable without a value", "a value without a variable"],
)
def test_a_template_that_does_not_fit_its_values_is_refused_by_name(template: str, named: str) -> None:
    with pytest.raises(UnfitTemplate, match=named):
        fill(template, {"SERVICE": "threadline-connector-0"})
