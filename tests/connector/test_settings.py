"""Settings are right, or refused with every complaint at once."""

import pytest

from connector.settings import InvalidSettings, read_settings
from core.timing import Timing
from identity.tokens import GOOGLE_CERTS_URL

GOOD = {
    "GOOGLE_CLOUD_PROJECT": "demo-threadline",
    "PUBLIC_ENDPOINT": "https://shard-1.example.com",
    "FUNCTIONS_SERVICE_ACCOUNT": "functions@demo.iam.gserviceaccount.com",
    "FLUSH_URL": "https://flush.example.com/flush",
    "ENGINE_SOCKET": "/run/engine.sock",
    "PORT": "8080",
}


def test_what_must_be_set_is_enough() -> None:
    settings = read_settings(GOOD)
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)  # noqa: S104 - as on Cloud Run
    assert settings.identity_certs_url == GOOGLE_CERTS_URL
    assert settings.timing == Timing()


def test_workers_get_names_of_their_own() -> None:
    assert read_settings(GOOD).worker_id != read_settings(GOOD).worker_id
    assert read_settings(GOOD | {"WORKER_ID": "w1"}).worker_id == "w1"


def test_times_are_scaled() -> None:
    assert read_settings(GOOD | {"TIME_SCALE": "0.5"}).timing.lease_ttl_s == 12


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        read_settings({})
    complaints = str(refusal.value).splitlines()
    assert sorted(complaint.split()[0] for complaint in complaints) == sorted(GOOD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_ENDPOINT", "https://shard-1.example.com/"),
        ("PUBLIC_ENDPOINT", "https://shard-1.example.com/path"),
        ("PUBLIC_ENDPOINT", "shard-1.example.com"),
        ("PUBLIC_ENDPOINT", "https://shard-1.example.com:x"),
        ("FLUSH_URL", "ftp://flush.example.com"),
        ("IDENTITY_CERTS_URL", "certs"),
        ("PORT", "0"),
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("TIME_SCALE", "0"),
        ("TIME_SCALE", "fast"),
        ("TIME_SCALE", "nan"),
    ],
)
def test_a_malformed_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{name} must"):
        read_settings(GOOD | {name: value})
