"""`queue`: how much waits, since when, and what holds the head."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.admin.queues import hold
from connector.admin.standing import Standing
from connector.admin.waiting import Waiting
from core import schema
from core.account import new_account_document, new_lease_document, parse_lease
from core.errors import ErrorCode, described
from core.ids import AccountId
from tests.connector_admin.inbox import DIGITS, Inbox

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_accounts_with_a_queue_stand_without_any_number_and_say_what_holds_them(inbox: Inbox) -> None:
    paused, _idle = inbox.account(desiredState="paused", status="disconnected"), inbox.account()
    thread = inbox.chat(paused)
    for age_s in (600, 20):
        inbox.request(thread, age_s=age_s)
    out = inbox.admin.does("queue")
    assert [line.split() for line in out.splitlines() if line.startswith("shop-")] == [[paused, "2", "0", "10", "min"]]
    assert f"held by the account: paused; its messages wait. To do: `python -m connector.admin resume {paused}`" in out
    assert DIGITS not in out


def test_an_accounts_chats_stand_with_the_oldest_head_first(inbox: Inbox) -> None:
    account = inbox.account()
    young, old = inbox.chat(account), inbox.chat(account)
    inbox.request(young, age_s=5)
    for age_s in (300, 200, 100):
        inbox.request(old, age_s=age_s)
    out = inbox.admin.does("queue", account)
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("shop-")] == [[old, "3"], [young, "1"]]
    first, second = inbox.admin.data("queue", account)
    assert (first["threadId"], first["depth"], second["threadId"]) == (old, 3, young)


HOLDS: list[tuple[float, dict[str, Any], str]] = [
    (120, {"status": "sending", "claimUntil": 20.0, "lastTriedAt": -2.0}, "an attempt is under way, until"),
    (
        120,
        {
            "status": "queued",
            "claimUntil": 60.0,
            "lastTriedAt": -60.0,
            "lastError": described(ErrorCode.NOT_SENT, "lost"),
        },
        "tried again at",
    ),
    (
        120,
        {
            "status": "queued",
            "claimUntil": 1800.0,
            "lastTriedAt": -2.0,
            "lastError": described(ErrorCode.COLD_LOCKED, "refused"),
        },
        "tried again at",
    ),
    (
        120,
        {
            "status": "sending",
            "claimUntil": 20.0,
            "lastTriedAt": -2.0,
            "lastError": described(ErrorCode.OUTCOME_UNKNOWN, "an earlier attempt got no answer; it waits"),
            "heldBy": "cold_limit",
        },
        "tried again at",
    ),
    (
        120,
        {
            "status": "queued",
            "claimUntil": 20.0,
            "lastTriedAt": -2.0,
            "lastError": described(ErrorCode.CONNECTOR_REFUSED, "403"),
        },
        "tried again at",
    ),
    (120, {"lastError": described(ErrorCode.ENDPOINT_NOT_ALLOWED, "elsewhere")}, "endpoint_not_allowed: elsewhere"),
    (120, {}, "nothing; its send job was lost"),
    (5, {}, "nothing; its send job is due"),
]


@pytest.mark.parametrize(
    ("age_s", "fields", "held_by"), HOLDS, ids=[str(fields.get("lastError", held_by)) for _, fields, held_by in HOLDS]
)
def test_what_holds_the_head_is_said(age_s: float, fields: dict[str, Any], held_by: str) -> None:
    document = new_account_document(AccountId("shop-1"), "Shop") | {"status": "connected"}
    lease = parse_lease(new_lease_document(NOW) | {"ownerInstanceId": "worker-1", "leaseUntil": later(60)})
    standing = Standing(account=AccountId("shop-1"), document=document, lease=lease, queue=Waiting(), at=NOW)
    head = {name: later(value) if isinstance(value, float) else value for name, value in fields.items()}
    assert hold(standing, {"createdAt": later(-age_s), **head}, NOW).startswith(held_by)


def test_an_empty_queue_is_said_to_be_empty(inbox: Inbox) -> None:
    account = inbox.account()
    request = inbox.request(inbox.chat(account))
    inbox.db.collection(schema.OUTBOX).document(request).update({"status": "sent"})
    assert "Nothing waits" in inbox.admin.does("queue")
    assert f"Nothing of {account} waits" in inbox.admin.does("queue", account)
    assert inbox.admin.data("queue") == []
