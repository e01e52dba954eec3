"""What Cloud Run is told fits what the connector reads and needs."""

from typing import Any

import pytest
import yaml

from connector.settings import read_settings
from core.timing import Timing
from local.project import ROOT

PATH = ROOT / "connector/service.yaml"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(PATH.read_text())["spec"]["template"]
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
    filled = {name: value.replace("SHARD", "1").replace("REGION", "region") for name, value in environment.items()}
    given = {"PORT": str(container["ports"][0]["containerPort"]), "ENGINE_STORE": "postgres://from-the-secret/engine"}
    settings = read_settings(filled | given)
    assert settings.timing == Timing()


def test_the_store_that_holds_the_sessions_keys_is_a_secret(template: dict[str, Any]) -> None:
    container = connector(template)
    (store,) = (entry for entry in container["env"] if entry["name"] == "ENGINE_STORE")
    assert "value" not in store
    assert store["valueFrom"]["secretKeyRef"]["name"]


def test_it_takes_calls_from_the_account_that_the_functions_run_as(template: dict[str, Any]) -> None:
    lines = (ROOT / "functions/.env.example").read_text().splitlines()
    (theirs,) = (line.partition("=")[2] for line in lines if line.startswith("FUNCTIONS_SERVICE_ACCOUNT="))
    ours = plain_environment(template)["FUNCTIONS_SERVICE_ACCOUNT"]
    assert ours.replace("PROJECT_NUMBER", "0" * 12) == theirs


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
