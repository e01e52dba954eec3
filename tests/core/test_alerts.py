"""Alerts as values: their catalogue and its document, what a write changes for a person, and what is told outside."""

import ast
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core import alert_types
from core.alert import Alert, Change, change, is_open, last_at, resolved_fields
from core.alert_telling import told
from core.alert_types import ALERTS, ENDS, Condition, End
from core.errors import CATALOGUE, ErrorCode, Severity
from core.ids import AccountId

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 1, 1, tzinfo=UTC)
OPEN: Mapping[str, object] = Alert(
    code=ErrorCode.BANNED, cause="shop", account_id=AccountId("shop"), message="banned: x", about="a/+40712345678"
).document(AT)
CLOSED: Mapping[str, object] = {**OPEN, **resolved_fields(AT)}


def documented() -> dict[str, list[str]]:
    lines = (ROOT / "docs/alerts.md").read_text().splitlines()
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `"))
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_document_says_of_each_alert_what_the_code_says() -> None:
    assert documented() == {
        str(each): [str(entry.severity), entry.meaning, entry.what_to_do, ENDS[entry.end]]
        for each, entry in ALERTS.items()
    }


def test_every_error_that_needs_somebody_and_every_condition_has_its_entry() -> None:
    assert set(ALERTS) == {code for code, entry in CATALOGUE.items() if entry.alert} | set(Condition)


def test_every_condition_is_raised_somewhere() -> None:
    used: set[str] = set()
    for folder in ("functions/backend", "connector"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "Condition"
                ):
                    used.add(node.attr)
    assert used >= {condition.name for condition in Condition}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, OPEN, Change.OPENED, id="created"),
        pytest.param(OPEN, {**OPEN, "count": 2}, None, id="counted"),
        pytest.param(OPEN, CLOSED, Change.RESOLVED, id="resolved"),
        pytest.param(CLOSED, {**CLOSED, "count": 2}, None, id="changed while it is resolved"),
        pytest.param(CLOSED, OPEN, Change.REOPENED, id="back"),
        pytest.param(CLOSED, None, None, id="expired"),
        pytest.param(OPEN, None, None, id="deleted"),
        pytest.param(None, CLOSED, None, id="created as resolved"),
    ],
)
def test_somebody_is_told_of_an_opening_and_an_end_and_of_nothing_else(
    before: Mapping[str, object] | None, after: Mapping[str, object] | None, expected: Change | None
) -> None:
    assert change(before, after) is expected


def test_an_alert_that_is_over_expires_and_one_that_is_open_again_does_not() -> None:
    assert not is_open(CLOSED)
    assert CLOSED["expireAt"] == AT + timedelta(days=90)
    again = Alert(code=ErrorCode.BANNED, cause="shop", message="x").again_fields(AT + timedelta(days=1))
    assert (again["resolvedAt"], again["expireAt"]) == (None, None)


def test_an_alert_of_nine_and_again_of_five_says_both_times() -> None:
    nine, five = AT.replace(hour=9), AT.replace(hour=17)
    alert = Alert(code=ErrorCode.BANNED, cause="shop", message="x")
    document = alert.document(nine) | alert.again_fields(five)
    assert document["createdAt"] == nine
    assert last_at(document) == five
    posted = told(Change.REOPENED, alert.alert_id, document)
    assert (posted.created_at, posted.at) == (nine, five)


def test_an_alert_that_an_older_version_raised_happened_last_when_it_was_created() -> None:
    assert last_at({"createdAt": AT}) == AT


def test_what_is_told_outside_has_no_word_of_the_document() -> None:
    document = {**OPEN, "message": "banned: +40712345678 wrote hello", "accountId": "40712345678@s.whatsapp.net"}
    words = repr(told(Change.OPENED, "banned_00", document))
    assert "40712345678" not in words
    assert "hello" not in words
    assert CATALOGUE[ErrorCode.BANNED].what_to_do in words


def test_a_type_that_is_not_known_is_told_of_as_such() -> None:
    found = told(Change.OPENED, "x_00", {**OPEN, "type": "+40712345678"})
    assert (found.alert_type, found.severity) == ("unknown", Severity.ERROR)


def test_every_end_is_that_of_an_alert_and_the_sweepers_types_fit_one_query() -> None:
    assert {entry.end for entry in ALERTS.values()} == set(End)
    assert len(alert_types.ending(End.CONNECTED, End.SENT, End.QUIET, End.OVER)) <= 30
