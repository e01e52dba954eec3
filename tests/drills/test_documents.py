"""Drills, docs/drills.md and docs/runbook.md name the same causes; every alert is drilled."""

from itertools import takewhile

from core.alert_types import ALERTS
from local.drills.catalogue import DRILLS
from local.project import ROOT

RUNBOOK = (ROOT / "docs/runbook.md").read_text()
TOLD = (ROOT / "docs/drills.md").read_text()
NOT_DRILLED = {
    "connector and engine of two versions",
    "received messages come late",
    "sends are slow",
    "many `deaf` on the same day",
    "Firestore was restored from a backup",
}
"""Of many numbers: no cause that can be brought about here, or none that an account or an alert shows."""


def rows(text: str, title: str) -> list[list[str]]:
    """Of the first table that begins with this column, without its head."""
    lines = text[text.index(f"| {title} |") :].splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in takewhile(lambda line: line[:1] == "|", lines)
    ][2:]


def test_every_alert_is_drilled() -> None:
    assert {str(drill.alert) for drill in DRILLS if drill.alert is not None} == {str(each) for each in ALERTS}


def test_every_row_of_the_runbook_is_drilled_that_can_be() -> None:
    one_number, _, many = RUNBOOK.partition("## Many numbers")
    named = {row[0] for part in (one_number, many) for row in rows(part, "what happened")}
    assert named - {drill.cause.partition(":")[0] for drill in DRILLS} == NOT_DRILLED


def test_the_documented_run_is_of_these_drills() -> None:
    told = [(row[0], row[4].partition(",")[0]) for row in rows(TOLD, "cause")]
    assert told == [(drill.cause, str(drill.alert or "none")) for drill in DRILLS]


def test_names_are_used_once() -> None:
    assert len({drill.name for drill in DRILLS}) == len(DRILLS)
