"""`alerts`: what is open, the oldest first, and what to do."""

from datetime import UTC, datetime

from core import schema
from core.errors import CATALOGUE, ErrorCode
from tests.connector_admin.inbox import DIGITS, Inbox


def test_open_alerts_stand_oldest_first_without_any_number_and_with_what_to_do(inbox: Inbox) -> None:
    account = inbox.account()
    thread = inbox.chat(account)
    inbox.alert(ErrorCode.BANNED, "a", account, age_s=60)
    inbox.alert(ErrorCode.INVALID_EVENT, "b", account, f"{schema.INGEST}/{inbox.row(thread, None)}", age_s=7200)
    closed = inbox.alert(ErrorCode.OUTDATED, "c", account, age_s=99999)
    inbox.db.collection(schema.ALERTS).document(closed).update({"resolvedAt": datetime.now(UTC)})
    out = inbox.admin.does("alerts")
    assert out.index("invalid_event") < out.index("banned")
    assert "outdated" not in out
    assert " ".join(CATALOGUE[ErrorCode.BANNED].what_to_do.split()) in " ".join(out.split())
    assert DIGITS not in out
    assert DIGITS not in str(inbox.admin.data("alerts"))


def test_an_accounts_alerts_name_their_documents_and_the_command_for_them(inbox: Inbox) -> None:
    account, other = inbox.account(), inbox.account()
    row = inbox.row(inbox.chat(account), None)
    inbox.alert(ErrorCode.INVALID_EVENT, row, account, f"{schema.INGEST}/{row}")
    inbox.alert(ErrorCode.BANNED, other, other)
    out = inbox.admin.does("alerts", account)
    assert f"python -m connector.admin replay '{row}'\n" in out
    assert "banned" not in out
    (found,) = inbox.admin.data("alerts", account)
    assert found["document"] == f"{schema.INGEST}/{row}"


def test_an_alert_of_a_type_that_this_program_does_not_know_brings_its_own_advice(inbox: Inbox) -> None:
    document = {"type": "of_tomorrow", "severity": "error", "accountId": None, "message": "new", "resolvedAt": None}
    inbox.put(schema.ALERTS, "new", document | {"createdAt": datetime.now(UTC), "meta": {"whatToDo": "Look at it."}})
    assert "What to do: Look at it." in inbox.admin.does("alerts")


def test_no_alert_is_said(inbox: Inbox) -> None:
    assert "No alert is open." in inbox.admin.does("alerts")
    assert "No alert of shop-7 is open." in inbox.admin.does("alerts", "shop-7")
    assert inbox.admin.data("alerts") == []
