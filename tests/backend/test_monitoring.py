"""The files in monitoring/ name the fields of the log lines that the functions write, and nothing that they do not."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend import log
from backend.sweep import Swept
from core.alert import Alert, Change
from core.alert_telling import told
from core.alert_types import ALERTS, AlertType
from core.errors import ErrorCode
from core.ids import AccountId

MONITORING = Path(__file__).parents[2] / "monitoring"
AT = datetime(2026, 1, 1, tzinfo=UTC)
_FIELD = re.compile(r"jsonPayload((?:\.\w+)+)")
_LABEL = re.compile(r"log\.extracted_label\.(\w+)")


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MONITORING / name).read_text())
    return found


def line_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def alert_line(capsys: pytest.CaptureFixture[str], code: AlertType, change: Change) -> dict[str, Any]:
    alert = Alert(code=code, cause="shop", account_id=AccountId("shop"), message="x")
    log.alert_changed(told(change, alert.alert_id, alert.document(AT)))
    return line_of(capsys)


def sweep_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    log.swept(**dict.fromkeys(Swept.__dataclass_fields__, 0))
    return line_of(capsys)


def at(line: dict[str, Any], path: str) -> object:
    """What stands at a path such as `.alert.type`. Raises KeyError."""
    found: Any = line
    for name in path.removeprefix(".").split("."):
        found = found[name]
    return found


def paths(value: object) -> set[str]:
    return set(_FIELD.findall(json.dumps(value)))


def test_each_file_is_described_and_there_is_no_other() -> None:
    described = set(re.findall(r"\| `([\w-]+\.json)`", (MONITORING / "README.md").read_text()))
    assert described == {path.name for path in MONITORING.glob("*.json")}


@pytest.mark.parametrize("name", ["alert-policy.json", "alerts-metric.json"])
@pytest.mark.parametrize("code", ALERTS)
def test_what_is_looked_for_stands_in_the_line_of_every_alert(
    name: str, code: AlertType, capsys: pytest.CaptureFixture[str]
) -> None:
    line = alert_line(capsys, code, Change.OPENED)
    wanted = paths(read(name))
    assert wanted
    assert all(isinstance(at(line, path), str) for path in wanted)


def test_the_policy_notifies_of_what_opens_and_of_nothing_that_ends(capsys: pytest.CaptureFixture[str]) -> None:
    (condition,) = read("alert-policy.json")["conditions"]
    matched = re.search(r"jsonPayload\.alert\.change=\((.*?)\)", condition["conditionMatchedLog"]["filter"])
    assert matched is not None
    changes = set(re.findall(r'"(\w+)"', matched[1]))
    assert changes == {Change.OPENED, Change.REOPENED}
    assert all(str(at(alert_line(capsys, ErrorCode.BANNED, Change(each)), ".alert.change")) == each for each in changes)


def test_the_policy_s_words_are_labels_that_it_extracts() -> None:
    policy = read("alert-policy.json")
    (condition,) = policy["conditions"]
    used = set(_LABEL.findall(json.dumps(policy["documentation"])))
    assert used == set(condition["conditionMatchedLog"]["labelExtractors"])
    assert policy["alertStrategy"]["notificationRateLimit"]["period"] == "300s"


def test_a_metric_s_labels_are_those_that_it_extracts() -> None:
    metric = read("alerts-metric.json")
    assert {label["key"] for label in metric["metricDescriptor"]["labels"]} == set(metric["labelExtractors"])


def test_the_line_of_a_run_without_anything_to_do_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    line = sweep_line(capsys)
    (path,) = paths(read("sweeps-metric.json"))
    assert at(line, path) == 0
    (condition,) = read("sweeper-policy.json")["conditions"]
    assert "logging.googleapis.com/user/threadline_sweeps" in condition["conditionAbsent"]["filter"]
    assert "threadline_sweeps" in (MONITORING / "README.md").read_text()
