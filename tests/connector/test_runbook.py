"""docs/runbook.md names what there is: each alert, and only log lines, metrics, reasons and commands that exist."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from connector import metrics
from core.account import Status
from core.alert_types import ALERTS
from local.project import ROOT

TEXT = (ROOT / "docs/runbook.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")]


def quoted(cells: list[str]) -> set[str]:
    return set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)*)[`{/]", " ".join(cells)))


def written_in(*places: str) -> str:
    files = [path for place in places for path in sorted((ROOT / place).rglob("*.py"))]
    return "".join(Path(path).read_text() for path in files)


def test_every_alert_that_is_about_an_account_or_the_services_has_its_row() -> None:
    """The others are about one request, whose document says it all."""
    of_one_request = {"invalid_request", "wrong_request_id", "thread_unknown", "not_sent", "expired", "account_unknown"}
    assert {str(each) for each in ALERTS} - of_one_request <= quoted([cell for row in ROWS for cell in row])


def test_log_lines_and_metrics_exist() -> None:
    source = written_in("connector", "functions/backend")
    served = {family.name for family in text_string_to_metric_families(metrics.exposition().decode())}
    served |= {f"{name}_total" for name in served}
    words = {word for row in ROWS for word in quoted(row)} | quoted(TEXT.splitlines())
    named = {word for word in words if word.startswith("connector_") and word not in {str(each) for each in ALERTS}}
    assert named
    assert named <= served
    known = {str(each) for each in (*ALERTS, *Status)} | named
    known |= {word for word in words if re.fullmatch(r"connect_failure_[0-9]{3}", word)}
    engine = "".join(path.read_text() for path in sorted((ROOT / "connector/engine").rglob("*.go")))
    missing = [
        word
        for word in sorted(words - known)
        if f'"{word}"' not in source and f"def {word}(" not in source and word not in engine
    ]
    assert not missing, missing
    said = set(re.findall(r'"([a-z][a-z ]{8,})"', TEXT))
    assert said
    assert [each for each in sorted(said) if f'"{each}' not in source + engine] == []


def test_commands_exist() -> None:
    commands = set(re.findall(r"`([a-z-]+)(?: [A-Z\[-]|`)", (ROOT / "docs/operating.md").read_text()))
    used = set(re.findall(r"`([a-z-]+) (?:ACCOUNT|REQUEST_ID|EVENT_ID|--account)", TEXT)) | {"queue"}
    assert used <= commands | {"accounts"}
