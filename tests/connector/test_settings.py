"""Settings are right, or refused with every complaint at once."""

from pathlib import Path

import pytest

from connector.settings import EngineProgram, InvalidSettings, ServedEngine, read_settings, settings_from_environment
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
    assert (settings.max_accounts, settings.timing) == (500, Timing())


def test_memory_for_events_is_given_in_mib() -> None:
    assert read_settings(GOOD).event_memory_bytes == 64 * 1024 * 1024
    assert read_settings(GOOD | {"EVENT_MEMORY_MIB": "32"}).event_memory_bytes == 32 * 1024 * 1024


def test_the_number_that_whatsapp_announces_is_not_trusted_unless_asked_for() -> None:
    assert not read_settings(GOOD).trusts_announced
    assert read_settings(GOOD | {"ANNOUNCED_GAPS": "on"}).trusts_announced


def test_workers_get_names_of_their_own() -> None:
    assert read_settings(GOOD).worker_id != read_settings(GOOD).worker_id
    assert read_settings(GOOD | {"WORKER_ID": "w1"}).worker_id == "w1"


def test_times_are_scaled() -> None:
    assert read_settings(GOOD | {"TIME_SCALE": "0.5"}).timing.lease_ttl_s == 12


def test_groups_are_shown_unless_they_are_hidden() -> None:
    assert read_settings(GOOD).shows_groups
    assert read_settings(GOOD | {"GROUPS": "show"}).shows_groups
    assert not read_settings(GOOD | {"GROUPS": "hide"}).shows_groups


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
        ("MAX_ACCOUNTS", "0"),
        ("MAX_ACCOUNTS", "many"),
        ("MAX_ACCOUNTS", "100000"),
        ("GROUPS", "on"),
        ("EVENT_MEMORY_MIB", "0"),
        ("EVENT_MEMORY_MIB", "1GiB"),
        ("ANNOUNCED_GAPS", "yes"),
        ("TIME_SCALE", "0"),
        ("TIME_SCALE", "fast"),
        ("TIME_SCALE", "nan"),
    ],
)
def test_a_malformed_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{name} must"):
        read_settings(GOOD | {name: value})


PASSWORD = "passw0rd"
OWN_ENGINE = {"ENGINE_BINARY": "/app/wa-engine", "ENGINE_STORE": f"postgres://engine:{PASSWORD}@host/engine"}
WITHOUT_ENGINE = {name: value for name, value in GOOD.items() if name != "ENGINE_SOCKET"}


def test_the_engine_is_somebody_elses_or_the_connectors_own() -> None:
    assert read_settings(GOOD).engine == ServedEngine(socket=Path("/run/engine.sock"))
    own = read_settings(WITHOUT_ENGINE | OWN_ENGINE)
    assert own.engine == EngineProgram(binary=Path("/app/wa-engine"), store=OWN_ENGINE["ENGINE_STORE"])
    assert PASSWORD not in repr(own)


@pytest.mark.parametrize(
    "engine",
    [
        {},
        OWN_ENGINE | {"ENGINE_SOCKET": "/run/engine.sock"},
        {"ENGINE_BINARY": "/app/wa-engine"},
        {"ENGINE_STORE": OWN_ENGINE["ENGINE_STORE"]},
        {"ENGINE_SOCKET": "/run/engine.sock", "ENGINE_STORE": OWN_ENGINE["ENGINE_STORE"]},
    ],
)
def test_one_engine_must_be_named_and_no_more(engine: dict[str, str]) -> None:
    with pytest.raises(
        InvalidSettings, match=r"^ENGINE_SOCKET must be set alone, or else ENGINE_BINARY and"
    ) as refusal:
        read_settings(WITHOUT_ENGINE | engine)
    assert PASSWORD not in str(refusal.value)


def test_a_store_of_another_kind_is_named_and_not_quoted() -> None:
    with pytest.raises(InvalidSettings, match=r"^ENGINE_STORE must begin with one of sqlite:/, postgres://") as refusal:
        read_settings(WITHOUT_ENGINE | OWN_ENGINE | {"ENGINE_STORE": f"mysql://engine:{PASSWORD}@host/engine"})
    assert PASSWORD not in str(refusal.value)


def test_an_engine_that_cannot_be_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_program = tmp_path / "wa-engine"
    no_program.touch()
    monkeypatch.delenv("ENGINE_SOCKET", raising=False)
    for name, value in (WITHOUT_ENGINE | OWN_ENGINE | {"ENGINE_BINARY": str(no_program)}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=r"^ENGINE_BINARY names \S+/wa-engine, which is no program"):
        settings_from_environment()
    no_program.chmod(0o755)
    settings_from_environment()


@pytest.mark.parametrize("mib", ["0", "1", "64", "9999", "65535"])
def test_the_history_that_the_engine_keeps_may_be_set(mib: str) -> None:
    read_settings(WITHOUT_ENGINE | OWN_ENGINE | {"ENGINE_HISTORY_MIB": mib})


@pytest.mark.parametrize("mib", ["-1", "65536", "1GiB", "1.5"])
def test_a_malformed_size_of_the_history_is_named(mib: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^ENGINE_HISTORY_MIB must be a whole number from 0 to 65535"):
        read_settings(WITHOUT_ENGINE | OWN_ENGINE | {"ENGINE_HISTORY_MIB": mib})
