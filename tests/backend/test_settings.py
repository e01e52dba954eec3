"""The functions' settings: a function fails only if a setting that it uses is wrong."""

import pytest

from backend.params import PARAMETERS, complaints
from backend.services import Services
from backend.settings import SettingsError, read_settings

DEPLOYED = {parameter.name: parameter.example for parameter in PARAMETERS} | {"GCLOUD_PROJECT": "my-inbox"}
"""As Google sets the project's name, with the examples of all parameters."""
MALFORMED = [
    ("CONNECTOR_ENDPOINTS", ""),
    ("CONNECTOR_ENDPOINTS", "https://connector.run.app/"),
    ("CONNECTOR_ENDPOINTS", "https://connector.run.app/v1"),
    ("CONNECTOR_ENDPOINTS", "http://connector.run.app"),
    ("CONNECTOR_ENDPOINTS", "connector.run.app"),
    ("CONNECTOR_ENDPOINTS", "https://a.run.app, https://b.run.app"),
    ("CONNECTOR_ENDPOINTS", "https://a.run.app,"),
    ("CONNECTOR_ENDPOINTS", "https://a.run.app\n"),
    ("FUNCTIONS_SERVICE_ACCOUNT", "threadline-functions"),
    ("FUNCTIONS_SERVICE_ACCOUNT", "ana@example.com"),
    ("CONNECTOR_SERVICE_ACCOUNT", ""),
    ("TASKS_SERVICE_ACCOUNT", "serviceAccount:threadline-tasks@my-inbox.iam.gserviceaccount.com"),
    ("FUNCTIONS_REGION", "eur3"),
    ("FUNCTIONS_REGION", "Europe-West1"),
    ("FIRESTORE_DATABASE", "app"),
    ("FIRESTORE_DATABASE", "Threadline"),
    ("FIRESTORE_DATABASE", ""),
    ("ALERT_WEBHOOK_URL", "http://example.com/alerts"),
    ("ALERT_WEBHOOK_URL", "https://ana:word@example.com/alerts"),
]


def test_each_example_is_a_value_that_may_be_deployed() -> None:
    assert complaints(DEPLOYED) == []


def test_what_has_a_default_need_not_be_set() -> None:
    assert complaints({name: DEPLOYED[name] for name in ("CONNECTOR_ENDPOINTS", *ACCOUNTS)}) == []


ACCOUNTS = ("FUNCTIONS_SERVICE_ACCOUNT", "CONNECTOR_SERVICE_ACCOUNT", "TASKS_SERVICE_ACCOUNT")


@pytest.mark.parametrize("name", ["CONNECTOR_ENDPOINTS", *ACCOUNTS])
def test_a_missing_parameter_is_named_with_an_example(name: str) -> None:
    (complaint,) = complaints({other: value for other, value in DEPLOYED.items() if other != name})
    assert complaint.startswith(f"{name} is not set")
    assert complaint.endswith(f"Example: {name}={DEPLOYED[name]}")


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_parameter_is_named_with_an_example(name: str, value: str) -> None:
    (complaint,) = complaints(DEPLOYED | {name: value})
    assert complaint.startswith(f"{name} must")
    assert complaint.endswith(f"Example: {name}={DEPLOYED[name]}")


def test_several_shards_and_a_connector_of_this_machine_are_taken() -> None:
    both = "https://threadline-connector-0-1.europe-west1.run.app,http://127.0.0.1:8129"
    assert read_settings(DEPLOYED | {"CONNECTOR_ENDPOINTS": both}).connector_endpoints == set(both.split(","))


def test_addresses_follow_from_region_and_project() -> None:
    settings = read_settings(DEPLOYED | {"FUNCTIONS_REGION": "us-east1"})
    assert settings.send_url == "https://us-east1-my-inbox.cloudfunctions.net/threadlineSend"
    assert settings.flush_url == "https://us-east1-my-inbox.cloudfunctions.net/threadlineFlush"
    assert settings.send_queue == "projects/my-inbox/locations/us-east1/queues/threadlineSend"


def test_a_function_needs_no_setting_that_it_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inbound message needs only the project's id; sending needs the connectors' addresses."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    services = Services(read_settings({"GCLOUD_PROJECT": "my-inbox"}))
    assert services.ingest
    assert services.accept
    assert services.decisions
    with pytest.raises(SettingsError, match="CONNECTOR_ENDPOINTS is not set"):
        _ = services.send
    with pytest.raises(SettingsError, match="CONNECTOR_SERVICE_ACCOUNT is not set"):
        _ = services.flush_callers
    services.stores.db.close()


def test_each_workflow_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two instances of a workflow would not share what they remember about threads."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    services = Services(read_settings(DEPLOYED))
    assert services.send is services.send
    assert services.send.accept is services.accept
    services.stores.db.close()
