"""What is wrong with an account, in words, and what to do about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.admin.condition import Condition, condition, reason_in_words
from core.account import NEVER, claim_fields, new_account_document, new_lease_document, parse_lease
from core.errors import ErrorCode, described
from core.ids import AccountId, WorkerId
from core.timing import Timing

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCOUNT = AccountId("shop-1")
LEASE_FIELDS = {"ownerInstanceId", "leaseUntil", "updatedAt", "epoch", "wanted", "command"}
Fields = dict[str, Any]


def condition_with(fields: Fields) -> Condition:
    """Of an account that is connected and owned, but for these fields of it or its lease."""
    account = new_account_document(ACCOUNT, "Shop") | {"status": "connected", "lastSeenAt": NOW}
    account |= {name: value for name, value in fields.items() if name not in LEASE_FIELDS}
    lease = new_lease_document(NOW) | {"wanted": account["desiredState"] == "connected"}
    lease |= claim_fields(parse_lease(lease), WorkerId("worker-1"), "http://127.0.0.1:1", NOW, 24)
    lease |= {name: value for name, value in fields.items() if name in LEASE_FIELDS}
    return condition(ACCOUNT, account, parse_lease(lease), NOW, Timing())


def test_an_account_that_is_well_has_nothing_to_say() -> None:
    assert condition_with({}) == Condition()


CONDITIONS: list[tuple[Fields, str, str]] = [
    ({"desiredState": "paused", "status": "disconnected"}, "paused; its messages wait", "resume"),
    ({"status": "needs_qr"}, "not paired", "pair"),
    ({"status": "qr_ready"}, "a pairing code waits for its phone", "pair"),
    (
        {"status": "reconnecting", "disconnectReason": "stream_error_503"},
        "WhatsApp closed the connection (code 503)",
        "",
    ),
    ({"status": "reconnecting", "disconnectReason": "handed_over"}, "its connector stopped", ""),
    ({"status": "needs_qr", "lastError": described(ErrorCode.LOGGED_OUT, "removed")}, "logged_out: removed", "pair"),
    ({"status": "error", "lastError": described(ErrorCode.REPLACED, "elsewhere")}, "replaced: elsewhere", "resume"),
    ({"status": "error", "lastError": described(ErrorCode.OUTDATED, "old")}, "outdated: old", "resume"),
    ({"degraded": True, "degradedReason": "behind"}, "degraded: behind", ""),
    ({"lastSeenAt": NOW - timedelta(hours=3)}, "its owner last wrote", "log"),
    ({"ownerInstanceId": None, "leaseUntil": NEVER}, "no connector owns it just now", ""),
    (
        {"leaseUntil": NOW - timedelta(minutes=10), "updatedAt": NOW - timedelta(minutes=10)},
        "no connector has owned it for 10 min",
        "look whether the connectors run",
    ),
    (
        {"ownerInstanceId": None, "leaseUntil": NEVER, "lastError": described(ErrorCode.LOGGED_OUT, "removed")},
        "logged_out: removed",
        "pair",
    ),
    (
        {
            "ownerInstanceId": None,
            "updatedAt": NOW - timedelta(hours=3),
            "leaseUntil": NEVER,
            "lastError": "banned: so",
        },
        "no connector has owned it for 3 h",
        "look whether the connectors run",
    ),
    ({"epoch": None}, "its lease's epoch is none", "set epoch"),
    ({"wanted": False}, "the account and its lease do not say the same", "pause"),
    ({"command": {"id": "1", "kind": "logout", "phoneE164": None}}, "logout waits for its owner", ""),
    ({"status": "qr_ready", "lastSeenAt": NOW - timedelta(hours=3)}, "a pairing code waits", "pair"),
    ({"degraded": True, "syncGapStartAt": NOW}, "degraded (a gap from", ""),
    ({"status": "of tomorrow"}, "its status is of tomorrow", "log"),
]


@pytest.mark.parametrize(("fields", "summary", "advice"), CONDITIONS, ids=[summary for _, summary, _ in CONDITIONS])
def test_what_is_wrong_is_said_in_words_with_what_to_do(fields: Fields, summary: str, advice: str) -> None:
    found = condition_with(fields)
    assert found.summary.startswith(summary)
    assert advice in found.what_to_do
    assert bool(found.what_to_do) == bool(advice)
    if advice in ("pair", "resume"):
        assert f"python -m connector.admin {advice} {ACCOUNT}" in found.what_to_do


def test_an_account_without_a_lease_can_be_owned_by_nobody() -> None:
    found = condition(ACCOUNT, new_account_document(ACCOUNT, "Shop"), None, NOW, Timing())
    assert found.summary == "it has no lease document, so no connector can own it"


def test_a_reason_that_nobody_has_words_for_is_told_as_it_is() -> None:
    assert reason_in_words("of_tomorrow") == "of_tomorrow"
    assert reason_in_words(None) == ""
