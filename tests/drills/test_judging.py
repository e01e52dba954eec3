"""What a drill sees of accounts and alerts, and what it takes for a finding."""

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.errors import ErrorCode
from local.drills.case import Case
from local.drills.drill import Drill
from local.drills.people import people_of
from local.drills.run import alerts_of_nobody, look_for_other_alerts
from local.drills.watch import NotSeen, Watch

LATER = time.time()


def told(watch: Watch, collection: str, document_id: str, **fields: Any) -> None:
    document = SimpleNamespace(id=document_id, to_dict=lambda: fields)
    watch.note(collection, [SimpleNamespace(document=document)])


@pytest.fixture
def watch() -> Watch:
    return Watch(db=cast(Any, None))


def case_of(watch: Watch, alert: ErrorCode | None = ErrorCode.BANNED) -> Case:
    drill = Drill(name="shop", cause="x", run=lambda _: None, alert=alert)
    return Case(ground=cast(Any, SimpleNamespace(watch=watch)), drill=drill, people=people_of("shop", 0, 1))


def findings(watch: Watch, alert: ErrorCode | None = ErrorCode.BANNED) -> list[str]:
    case = case_of(watch, alert)
    look_for_other_alerts(case)
    return case.line.findings


def test_a_state_that_has_passed_by_was_seen(watch: Watch) -> None:
    since = time.monotonic()
    told(watch, "whatsapp_accounts", "shop", status="error")
    told(watch, "whatsapp_accounts", "shop", status="connected")
    found = watch.await_account("shop", lambda each: each["status"] == "error", "x", since=since, limit_s=0.1)
    assert found.at >= since


def test_what_stood_before_counts_only_while_it_stands(watch: Watch) -> None:
    told(watch, "whatsapp_accounts", "shop", status="error")
    told(watch, "whatsapp_accounts", "shop", status="connected")
    since = time.monotonic()
    with pytest.raises(NotSeen, match="status=connected"):
        watch.await_account("shop", lambda each: each["status"] == "error", "x", since=since, limit_s=0.05)
    found = watch.await_account("shop", lambda each: each["status"] == "connected", "x", since=since, limit_s=0.05)
    assert found.at == since


def test_an_alert_of_before_the_strike_is_not_the_strikes(watch: Watch) -> None:
    told(watch, "whatsapp_alerts", "banned_1", type="banned", accountId="shop", resolvedAt=None)
    with pytest.raises(NotSeen):
        watch.await_alert(lambda _: True, "x", since=time.monotonic(), limit_s=0.05)


def test_the_drills_own_alert_that_is_resolved_is_no_finding(watch: Watch) -> None:
    told(watch, "whatsapp_alerts", "banned_1", type="banned", accountId="shop", resolvedAt=None)
    told(watch, "whatsapp_alerts", "banned_1", type="banned", accountId="shop", resolvedAt=LATER)
    told(watch, "whatsapp_alerts", "gap_2", type="gap", accountId="another", resolvedAt=None)
    assert findings(watch) == []


def test_an_alert_that_is_left_open_is_a_finding(watch: Watch) -> None:
    told(watch, "whatsapp_alerts", "banned_1", type="banned", accountId="shop", resolvedAt=None)
    assert findings(watch) == ["an alert is still open: banned"]


@pytest.mark.parametrize(
    "of",
    [{"accountId": "shop"}, {"accountId": None, "meta": {"document": "whatsapp_outbox/shop_1@s.whatsapp.net_x"}}],
    ids=["by its account", "by its document"],
)
def test_another_alert_of_the_drills_account_is_a_finding_resolved_or_not(watch: Watch, of: dict[str, Any]) -> None:
    told(watch, "whatsapp_alerts", "gap_1", type="gap", resolvedAt=LATER, **of)
    assert findings(watch) == ["an alert that nobody expected: gap"]
    assert findings(watch, None) == ["an alert that nobody expected: gap"]


def test_an_alert_that_is_about_no_drill_is_a_finding(watch: Watch) -> None:
    told(watch, "whatsapp_alerts", "no_owner_1", type="no_owner", accountId=None, resolvedAt=LATER)
    assert alerts_of_nobody(watch, [case_of(watch)]) == ["an alert of no drill's account: no_owner"]
