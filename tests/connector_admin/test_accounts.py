"""`accounts` and `account`: each number's state, what is wrong with it, and what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import CATALOGUE, ErrorCode, described
from tests.connector_admin.inbox import DIGITS, Inbox


def test_each_account_stands_in_the_table_with_what_waits_and_no_number(inbox: Inbox) -> None:
    account, empty = inbox.account(), inbox.account(owner="worker-2")
    thread = inbox.chat(account)
    inbox.request(thread, age_s=600)
    inbox.request(thread, age_s=30, status="sending")
    inbox.request(thread, age_s=9000, status="sent")
    out = inbox.admin.does("accounts")
    first, second = (next(line for line in out.splitlines() if line.startswith(name)) for name in (account, empty))
    assert first.split() == [
        *(account, "Front", "desk", "connected", "worker-1"),
        *first.split()[5:10],
        *("ago", "2", "10", "min"),
    ]
    assert second.split()[-2:] == ["0", "-"]
    assert DIGITS not in out


def test_the_same_as_data(inbox: Inbox) -> None:
    account = inbox.account()
    inbox.request(inbox.chat(account), age_s=600)
    (found,) = inbox.admin.data("accounts")
    assert (found["accountId"], found["status"], found["owner"]) == (account, "connected", "worker-1")
    assert (found["queueDepth"], found["reason"]) == (1, None)
    waited = datetime.now(UTC) - datetime.fromisoformat(found["oldestWaitingSince"])
    assert timedelta(minutes=9) < waited < timedelta(minutes=12)
    assert DIGITS not in str(found)


def test_an_empty_project_is_said_to_be_empty(inbox: Inbox) -> None:
    assert "no account" in inbox.admin.does("accounts")
    assert inbox.admin.data("accounts") == []


def test_what_is_wrong_stands_under_the_account_with_what_to_do(inbox: Inbox) -> None:
    account = inbox.account(desiredState="paused", status="disconnected")
    (found,) = inbox.admin.data("accounts")
    assert (found["reason"], found["whatToDo"]) == (
        "paused; its messages wait",
        f"`python -m connector.admin resume {account}`",
    )
    assert f"    paused; its messages wait. To do: `python -m connector.admin resume {account}`" in inbox.admin.does(
        "accounts"
    )


def test_an_account_that_is_well_has_nothing_wrong(inbox: Inbox) -> None:
    account = inbox.account()
    out = inbox.admin.does("account", account)
    assert "What is wrong" not in out
    assert "No alert is open." in out


def test_an_account_shows_its_number_its_alerts_and_what_to_do_about_each(inbox: Inbox) -> None:
    account = inbox.account(status="error", lastError=described(ErrorCode.REPLACED, "elsewhere"))
    thread = inbox.chat(account)
    inbox.alert(ErrorCode.REPLACED, account, account)
    request = inbox.uncertain(thread)
    out = " ".join(inbox.admin.does("account", account).split())
    assert f"+{DIGITS}99" in out
    assert "What is wrong: replaced: elsewhere." in out
    assert CATALOGUE[ErrorCode.OUTCOME_UNKNOWN].what_to_do in out
    assert f"resolve '{request}'" in out
    data = inbox.admin.data("account", account)
    assert data["phoneE164"] == f"+{DIGITS}99"
    assert {alert["type"] for alert in data["alerts"]} == {"replaced", "outcome_unknown"}


def test_a_name_from_outside_cannot_steer_the_terminal(inbox: Inbox) -> None:
    account = inbox.account(name="Front\x1b[2J\ndesk‮")
    for out in (inbox.admin.does("accounts"), inbox.admin.does("account", account)):
        assert "\x1b" not in out
        assert "Front�[2J�desk�" in out


def test_long_names_are_cut_and_accounts_are_not(inbox: Inbox) -> None:
    inbox.account(name="字" * 90, owner="connector-europe-west1-00017-abcdefgh-0123456789")
    out = inbox.admin.does("accounts")
    assert "shop-1 " in out
    assert "…" in out


@pytest.mark.parametrize("command", ["account", "pair", "pause", "resume", "logout", "close-gap", "limits", "queue"])
def test_an_account_that_is_not_there_is_not_found(inbox: Inbox, command: str) -> None:
    errors = inbox.admin.fails(3, command, "nobody")
    assert "there is no account nobody" in errors
    assert inbox.admin.project in errors


@pytest.mark.parametrize(
    "command", ["account", "pair", "pause", "resume", "logout", "close-gap", "limits", "queue", "alerts"]
)
def test_an_account_id_that_cannot_be_one_is_wrong_usage(inbox: Inbox, command: str) -> None:
    assert "accountId must be 1 to 64" in inbox.admin.fails(2, command, "no/account")
