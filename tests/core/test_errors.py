import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.alert import Alert
from core.errors import CATALOGUE, ErrorCode, code_of, described
from core.ids import AccountId

ROOT = Path(__file__).resolve().parents[2]


def documented() -> dict[str, list[str]]:
    lines = (ROOT / "docs/errors.md").read_text().splitlines()
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `"))
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_document_says_of_each_code_what_the_code_says() -> None:
    assert documented() == {
        str(code): [entry.seen_in, entry.meaning, entry.what_to_do, str(entry.alert or "")]
        for code, entry in CATALOGUE.items()
    }


def test_every_code_stands_in_the_catalogue() -> None:
    assert set(CATALOGUE) == set(ErrorCode)


def test_every_code_is_used_by_one_of_the_services() -> None:
    used: set[str] = set()
    for folder in ("functions/backend", "functions/core", "connector"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "errors.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "ErrorCode"
                ):
                    used.add(node.attr)
    assert used == {code.name for code in ErrorCode}


def test_an_alert_of_the_same_cause_has_the_same_id_and_says_what_to_do() -> None:
    alerts = [
        Alert(code=ErrorCode.BANNED, cause="shop", account_id=AccountId("shop"), message=message)
        for message in ("first", "again")
    ]
    assert alerts[0].alert_id == alerts[1].alert_id
    document = alerts[0].document(datetime(2026, 1, 1, tzinfo=UTC))
    assert (document["type"], document["severity"], document["count"]) == ("banned", "error", 1)
    assert document["meta"] == {"whatToDo": CATALOGUE[ErrorCode.BANNED].what_to_do, "document": None}


def test_an_alerts_id_does_not_repeat_its_cause() -> None:
    alert = Alert(code=ErrorCode.OUTCOME_UNKNOWN, cause="shop_40712345678@s.whatsapp.net_00", message="x")
    assert "40712345678" not in alert.alert_id


def test_what_is_nobodys_to_act_on_is_no_cause_for_an_alert() -> None:
    with pytest.raises(ValueError, match="not a cause"):
        Alert(code=ErrorCode.CANCELLED, cause="x", message="x").document(datetime(2026, 1, 1, tzinfo=UTC))


def test_an_error_begins_with_its_code_and_is_known_by_it() -> None:
    assert described(ErrorCode.REJECTED, "why") == "rejected: why"
    assert code_of("rejected: why") is ErrorCode.REJECTED


@pytest.mark.parametrize("error", [None, "", 7, "rejected_not: why", ["rejected"], "why: rejected"])
def test_what_does_not_begin_with_a_code_has_none(error: object) -> None:
    assert code_of(error) is None
