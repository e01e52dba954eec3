"""Cold messages: what WhatsApp refuses waits and goes out later under its id; a day has so many, whoever owns the account."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import schema
from local.network.faults import FaultKind
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import TIME_SCALE, Connector, Stage, send_body
from tests.connector.test_sending import Line, connected_line, new_key
from tests.waiting import wait_until

NETWORKS = tuple(NetworkKind)
LOCK_S = 6 * 3600 * TIME_SCALE


@pytest.fixture
def line(shared: Shared) -> Line:
    return connected_line(shared.stage, shared.connector)


def send(line: Line, key: str, *, is_reply: bool | None) -> dict[str, str]:
    body: dict[str, object] = {**send_body(line.account, line.chat, key, "hello")}
    if is_reply is not None:
        body["isReply"] = is_reply
    response = line.connector.post("/v1/send", body)
    assert response.status_code == 200, response.text
    answer: dict[str, str] = response.json()
    return answer


def limit(line: Line, **limits: int) -> None:
    """As a super-admin sets them. The owner sees them at its next heartbeat."""
    line.stage.db.collection(schema.ACCOUNTS).document(line.account).update(limits)
    seen = line.stage.account(line.account)["lastSeenAt"]
    wait_until(lambda: line.stage.account(line.account)["lastSeenAt"] > seen, "a heartbeat")


def refuse(line: Line, *, seconds: float | None = None) -> int:
    """Once; with `seconds` WhatsApp says how long."""
    return line.stage.network.fault(FaultKind.REFUSE, account=line.ours, code="463", times=1, seconds=seconds)


def until(answer: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(answer["notBefore"]) - datetime.now(UTC)


def test_a_refused_cold_message_waits_for_the_locks_end_and_replies_go_out(line: Line) -> None:
    refuse(line)
    key = new_key()
    refused = send(line, key, is_reply=False)
    assert (refused["outcome"], refused["reason"]) == ("not_before", "cold_locked")
    assert until(refused).total_seconds() == pytest.approx(LOCK_S, abs=30)
    told = line.stage.await_status(line.account, "connected", degraded=True)
    assert told["degradedReason"].startswith("cold_locked: ")
    assert abs((told["coldLockedUntil"] - datetime.now(UTC)).total_seconds() - LOCK_S) < 30
    wait_until(lambda: line.stage.alerts(line.account), "the alert")
    (alert,) = line.stage.alerts(line.account)
    assert (alert["type"], alert["severity"], alert["resolvedAt"]) == ("cold_locked", "warning", None)

    # WhatsApp is not asked again: the fault was for one time.
    assert send(line, key, is_reply=False)["reason"] == "cold_locked"
    assert send(line, new_key(), is_reply=False)["reason"] == "cold_locked"
    answer = new_key()
    assert send(line, answer, is_reply=True) == {"outcome": "sent"}
    assert line.inbox() == [answer]


def test_when_the_lock_is_over_the_same_message_goes_out_under_its_id_and_the_alert_ends(line: Line) -> None:
    refuse(line)
    key = new_key()
    send(line, key, is_reply=False)
    line.stage.await_status(line.account, "connected", degraded=True)
    wait_until(lambda: line.stage.alerts(line.account), "the alert")
    stage, account = line.stage, line.account
    # The lock's six hours pass: its end is moved to now, and another owner reads it there.
    stage.want(line.connector, account, False)
    stage.await_status(account, "disconnected", assignedWorkerId=None)
    soon = datetime.now(UTC) + timedelta(seconds=4)
    stage.db.collection(schema.ACCOUNTS).document(account).update({"coldLockedUntil": soon})
    stage.want(line.connector, account, True)
    stage.await_connected(account)
    assert send(line, key, is_reply=False)["reason"] == "cold_locked"
    wait_until(lambda: datetime.now(UTC) > soon, "the lock's end")
    assert send(line, key, is_reply=False) == {"outcome": "sent"}
    assert line.inbox() == [key]
    stage.await_status(account, "connected", degraded=False, degradedReason=None, coldLockedUntil=None)
    wait_until(lambda: [alert["resolvedAt"] for alert in stage.alerts(account)] != [None], "the alert is over")
    refuse(line)
    assert send(line, new_key(), is_reply=False)["reason"] == "cold_locked"  # and it may come back
    wait_until(lambda: [alert["count"] for alert in stage.alerts(account)] == [2], "the alert is open again")


def test_where_whatsapp_says_when_the_lock_ends_it_ends_then_and_the_message_goes_out_under_its_id(line: Line) -> None:
    stage, account, key = line.stage, line.account, new_key()
    began = datetime.now(UTC)
    refuse(line, seconds=6)
    assert send(line, key, is_reply=False)["reason"] == "cold_locked"
    told = wait_until(lambda: soon(line, began + timedelta(seconds=8)), "WhatsApp's end")
    assert told["degradedReason"].startswith("cold_locked: ")
    assert send(line, key, is_reply=False)["notBefore"] == told["coldLockedUntil"].isoformat()
    wait_until(lambda: datetime.now(UTC) > told["coldLockedUntil"], "the lock's end")
    assert send(line, key, is_reply=False) == {"outcome": "sent"}
    assert line.inbox() == [key]
    stage.await_status(account, "connected", degraded=False, degradedReason=None, coldLockedUntil=None)
    wait_until(lambda: [alert["resolvedAt"] for alert in stage.alerts(account)] != [None], "the alert is over")


def soon(line: Line, until: datetime) -> dict[str, Any] | None:
    """The account, where its lock ends by then."""
    account = line.stage.account(line.account)
    locked = account.get("coldLockedUntil")
    return account if locked is not None and locked < until else None


def test_a_lock_that_whatsapp_lifts_is_over_at_once(line: Line) -> None:
    stage, account, key = line.stage, line.account, new_key()
    lock = refuse(line, seconds=3600)
    assert send(line, key, is_reply=False)["reason"] == "cold_locked"
    wait_until(lambda: soon(line, datetime.now(UTC) + timedelta(hours=1)), "WhatsApp's end")
    wait_until(lambda: stage.alerts(account), "the alert")
    stage.network.clear_faults(lock)
    stage.await_status(account, "connected", degraded=False, degradedReason=None, coldLockedUntil=None)
    wait_until(lambda: [alert["resolvedAt"] for alert in stage.alerts(account)] != [None], "the alert is over")
    assert send(line, key, is_reply=False) == {"outcome": "sent"}


def test_another_refusal_is_no_lock(line: Line) -> None:
    line.stage.network.fault(FaultKind.REFUSE, account=line.ours, code="479")
    assert send(line, new_key(), is_reply=False) == {"outcome": "rejected", "reason": "479"}
    assert send(line, new_key(), is_reply=False) == {"outcome": "sent"}


def test_a_days_cold_messages_are_used_up_and_replies_are_not_counted(line: Line) -> None:
    limit(line, coldPerDay=2, warmUpDays=0)
    for _ in range(2):
        assert send(line, new_key(), is_reply=False) == {"outcome": "sent"}
    held = send(line, new_key(), is_reply=False)
    assert (held["outcome"], held["reason"]) == ("not_before", "cold_limit")
    midnight = datetime.fromisoformat(held["notBefore"])
    assert (midnight.hour, midnight.minute, until(held) <= timedelta(days=1)) == (0, 0, True)
    assert send(line, new_key(), is_reply=True) == {"outcome": "sent"}
    assert send(line, new_key(), is_reply=None) == {"outcome": "sent"}  # functions of before
    assert len(line.inbox()) == 4


def test_a_new_number_sends_few_cold_messages_on_its_first_day(line: Line) -> None:
    assert line.stage.account(line.account)["firstPairedAt"] is not None
    sent = [send(line, new_key(), is_reply=False)["outcome"] for _ in range(6)]
    assert sent == ["sent"] * 4 + ["not_before"] * 2


def test_the_days_count_outlives_an_owner_that_is_killed(stage: Stage) -> None:
    line = connected_line(stage, stage.start_connector())
    limit(line, coldPerDay=3, warmUpDays=0)
    for _ in range(2):
        assert send(line, new_key(), is_reply=False) == {"outcome": "sent"}
    killed = line.connector
    other = stage.start_connector()
    stage.kill_and_expire(killed, line.account)
    wait_until(lambda: stage.lease(line.account).owner == other.worker, "another owner")
    stage.await_connected(line.account)
    again = replace(line, connector=other)
    assert [send(again, new_key(), is_reply=False)["outcome"] for _ in range(2)] == ["sent", "not_before"]


def test_an_accounts_sends_are_spread_and_what_is_too_fast_is_told_when_to_come_again(line: Line) -> None:
    limit(line, sendsPerMinute=6, sendBurst=2)
    answers: list[dict[str, str]] = []
    while not answers or answers[-1]["outcome"] == "sent":
        answers.append(send(line, new_key(), is_reply=True))
        assert len(answers) <= 10, (
            "a message costs 0.6 to 1.4 of the two; one that is nearly due is waited for, and a slow machine gains some"
        )
    held = answers[-1]
    assert len(answers) > 1
    assert (held["outcome"], held["reason"]) == ("not_before", "paced")
    assert timedelta() < until(held) < timedelta(seconds=20)


def test_pacing_that_is_switched_off_still_heeds_whatsapps_refusal(stage: Stage) -> None:
    connector: Connector = stage.start_connector(PACING="off")
    line = connected_line(stage, connector)
    limit(line, coldPerDay=0)
    assert send(line, new_key(), is_reply=False) == {"outcome": "sent"}
    refuse(line)
    assert send(line, new_key(), is_reply=False)["reason"] == "cold_locked"
    assert send(line, new_key(), is_reply=False)["reason"] == "cold_locked"
