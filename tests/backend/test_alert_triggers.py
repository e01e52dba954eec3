"""Who tells somebody of an alert, as deployed: real function processes, events of the real emulator, a real address."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from backend.stores import Stores
from core.alert import Alert
from core.errors import ErrorCode
from core.ids import AccountId
from local.processes import Processes
from local.production import world as production
from local.production.world import World
from tests.backend.webhook_receiver import Receiver, receiving
from tests.waiting import wait_until

_SCALE = 0.02
"""Of the platform's back-off: a fifth of a second, then twice that."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def deployed(own_processes: Processes, receiver: Receiver) -> World:
    environment = {"ALERT_WEBHOOK_URL": receiver.url, "THREADLINE_ALERT_WEBHOOK_SECRET": "of the test"}
    names = ("threadlineOnAlert", "threadlinePostAlert")
    return production.start(
        own_processes, names=names, workers=0, gates=False, time_scale=_SCALE, environment=environment
    )


@pytest.fixture
def stores(deployed: World) -> Iterator[Stores]:
    with closing(deployed.client()) as db:
        yield Stores(db)


def an_alert() -> Alert:
    account = AccountId(f"t-{uuid4().hex[:12]}")
    return Alert(
        code=ErrorCode.BANNED, cause=account, account_id=account, message="+40712345678", about="x/+40712345678"
    )


def raised(stores: Stores, alert: Alert) -> None:
    commit = stores.commit()
    commit.raise_alert(alert, datetime.now(UTC))
    commit.run()


def resolved(stores: Stores, alert: Alert) -> None:
    commit = stores.commit()
    commit.resolve_alert(alert.alert_id, datetime.now(UTC))
    commit.run()


def written(world: World, stores: Stores, alert: Alert, change: Callable[[Stores, Alert], None]) -> None:
    """Makes the change, and waits until both functions have seen it."""
    before = world.cloud.counters()
    change(stores, alert)
    wait_until(lambda: _ended(world, before) >= 2, "both functions have seen the write")


def lines(world: World, alert: Alert) -> list[dict[str, Any]]:
    """Of threadlineOnAlert, about one alert."""
    found: list[dict[str, Any]] = []
    for log in world.processes.folder.glob("function.threadlineOnAlert.*.log"):
        for line in log.read_text().splitlines():
            fields = json.loads(line) if line.startswith("{") else {}
            if fields.get("alert", {}).get("alertId") == alert.alert_id:
                found.append(fields)
    return found


def test_somebody_is_told_when_it_opens_ends_and_is_back_and_not_when_it_is_counted(
    deployed: World, stores: Stores, receiver: Receiver
) -> None:
    alert = an_alert()
    for change in (raised, raised, resolved, raised):
        written(deployed, stores, alert, change)
    told = lines(deployed, alert)
    assert [line["alert"]["change"] for line in told] == ["opened", "resolved", "reopened"]
    assert [line["severity"] for line in told] == ["ERROR", "NOTICE", "ERROR"]
    posts = receiver.of(alert.alert_id)
    assert [post.fields["change"] for post in posts] == ["opened", "resolved", "reopened"]
    assert [post.fields["count"] for post in posts] == [1, 2, 3]
    assert "40712345678" not in json.dumps(told) + "".join(post.body.decode() for post in posts)


def test_an_address_that_does_not_take_it_is_tried_again_and_holds_up_nothing(
    deployed: World, stores: Stores, receiver: Receiver
) -> None:
    alert = an_alert()
    receiver.statuses.extend([500, 302, 503])
    raised(stores, alert)
    wait_until(lambda: len(receiver.of(alert.alert_id)) == 4, "it was posted until it was taken")
    posts = receiver.of(alert.alert_id)
    assert len({post.fields["id"] for post in posts}) == 1
    assert {post.path for post in posts} == {"/"}
    assert len(lines(deployed, alert)) == 1


def _ended(world: World, before: dict[str, int]) -> int:
    now = world.cloud.counters()
    if now["under_way"]:
        return 0
    return sum(
        now.get(f"invoked_{name}", 0) - before.get(f"invoked_{name}", 0)
        for name in ("threadlineOnAlert", "threadlinePostAlert")
    )
