"""The alert that messages of a connected account stand still: when the sweeper raises it, and when it is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from backend import sweep_alerts
from backend.send import JobEnd
from core import schema
from core.alert_types import Condition
from tests.backend.alerts import is_open, set_account, set_lease, standing
from tests.backend.world import NOBODY_LISTENS, World


def old_request(world: World) -> Any:
    chat = world.chat()
    request = world.write(chat, createdAt=datetime.now(UTC) - timedelta(minutes=5))
    world.accept(request)
    return chat, request


@contextmanager
def jobs_do(world: World, act: Callable[[], None]) -> Iterator[None]:
    """Jobs come and do nothing else."""
    run_job = world.connector.run_job
    world.connector.run_job = lambda _job, _is_retry: act()
    try:
        yield
    finally:
        world.connector.run_job = run_job


def nothing() -> None:
    return


def test_a_message_that_no_job_takes_up_although_its_account_is_connected_is_told_of(world: World) -> None:
    chat, request = old_request(world)
    with jobs_do(world, nothing):
        for _ in range(2):
            world.services.sweep.run()
    alert = standing(world, Condition.STUCK_OUTBOX)
    assert (alert["count"], alert["resolvedAt"]) == (1, None)
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"
    world.services.sweep.run()
    assert not is_open(world, Condition.STUCK_OUTBOX)


def denied(world: World) -> Any:
    """A late message whose owner could not be reached."""
    chat, request = old_request(world)
    world.connect(endpoint=NOBODY_LISTENS)
    assert world.send_job(chat) is JobEnd.ACCOUNT_NOT_READY
    return chat, request


def renewed(world: World, *, later_s: float = 5) -> None:
    """Its owner has renewed the lease after the attempt."""
    set_lease(world, leaseUntil=datetime.now(UTC) + timedelta(seconds=world.settings.timing.lease_ttl_s + later_s))


def test_a_message_whose_living_owner_cannot_be_reached_is_told_of_until_it_is_sent(world: World) -> None:
    chat, request = denied(world)
    renewed(world)
    for _ in range(3):
        world.services.sweep.run()
        assert standing(world, Condition.STUCK_OUTBOX)["count"] == 1
        assert is_open(world, Condition.STUCK_OUTBOX)
    assert world.request(request)["lastError"].startswith("connector_unreachable: ")
    world.connect()
    world.send_job(chat)
    world.wait_for(request, "sent")
    world.services.sweep.run()
    assert not is_open(world, Condition.STUCK_OUTBOX)


def test_an_older_message_that_is_held_back_does_not_end_the_alert_about_another(world: World) -> None:
    held = world.write(world.chat(), createdAt=datetime.now(UTC) - timedelta(minutes=6))
    world.accept(held)
    world.db.collection(schema.OUTBOX).document(held).update(
        {"claimUntil": datetime.now(UTC) + timedelta(minutes=30), "heldBy": "cold_limit"}
    )
    denied(world)
    renewed(world)
    for _ in range(2):
        world.services.sweep.run()
        assert is_open(world, Condition.STUCK_OUTBOX)


def test_the_alert_about_a_message_behind_many_older_ones_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a look at the account's oldest shows: those of a chat that is held back."""
    monkeypatch.setattr(sweep_alerts, "_FRONT", 2)
    chat = world.chat()
    for age in (8, 7, 6):
        world.hold_until(world.write(chat, createdAt=datetime.now(UTC) - timedelta(minutes=age)), 300)
    denied(world)
    renewed(world)
    for _ in range(2):
        world.services.sweep.run()
        assert is_open(world, Condition.STUCK_OUTBOX)
    assert standing(world, Condition.STUCK_OUTBOX)["count"] == 1


def test_what_waits_behind_a_head_that_is_held_back_does_not_stand_still(world: World) -> None:
    chat, head = denied(world)
    world.accept(world.write(chat, createdAt=datetime.now(UTC) - timedelta(minutes=4)))
    renewed(world)
    world.services.sweep.run()
    assert is_open(world, Condition.STUCK_OUTBOX)
    held = {"claimUntil": datetime.now(UTC) + timedelta(minutes=30), "heldBy": "cold_limit"}
    world.db.collection(schema.OUTBOX).document(head).update(held)
    world.services.sweep.run()
    assert not is_open(world, Condition.STUCK_OUTBOX)


def test_an_account_that_is_connected_no_more_has_no_message_that_is_stuck(world: World) -> None:
    denied(world)
    renewed(world)
    world.services.sweep.run()
    assert is_open(world, Condition.STUCK_OUTBOX)
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"status": "needs_qr"})
    world.services.sweep.run()
    assert not is_open(world, Condition.STUCK_OUTBOX)


def test_a_message_whose_dead_owners_lease_still_runs_is_not_stuck(world: World) -> None:
    denied(world)
    renewed(world, later_s=world.settings.timing.lease_renew_s / 2)
    set_lease(world, updatedAt=datetime.now(UTC) + timedelta(seconds=5))  # a super-admin's wish
    world.services.sweep.run()
    assert world.lease().is_held(datetime.now(UTC))
    assert world.alerts() == []


def test_a_message_whose_owner_has_changed_while_it_was_looked_at_is_not_stuck(world: World) -> None:
    denied(world)
    renewed(world)
    with jobs_do(world, lambda: set_lease(world, epoch=world.lease().next_epoch())):
        world.services.sweep.run()
    assert world.alerts() == []


def test_a_message_whose_account_is_connected_no_more_when_it_is_looked_at_again_is_not_stuck(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied(world)
    renewed(world)
    waits = SimpleNamespace(sleep=lambda _seconds: set_account(world, status="reconnecting"))
    monkeypatch.setattr(sweep_alerts, "time", waits)
    world.services.sweep.run()
    assert world.alerts() == []


def test_a_message_that_is_being_sent_after_all_is_not_stuck(world: World) -> None:
    """Its account was away for long, and came back in the same term."""
    _, request = denied(world)
    renewed(world)
    with jobs_do(world, lambda: claim_only(world, request)):
        world.services.sweep.run()
    assert world.alerts() == []


def claim_only(world: World, request: Any) -> None:
    """An attempt that is under way."""
    at = datetime.now(UTC)
    claim = {
        "status": "sending",
        "lastTriedAt": at,
        "claimUntil": at + timedelta(seconds=world.settings.timing.claim_s),
    }
    world.db.collection(schema.OUTBOX).document(request).update(claim)


def test_a_message_whose_lease_ended_while_it_was_looked_at_is_not_stuck(world: World) -> None:
    """The job finds nobody to ask, and leaves it as it stood."""
    old_request(world)
    set_lease(world, leaseUntil=datetime.now(UTC) + timedelta(seconds=world.settings.timing.stuck_confirm_s / 2))
    with jobs_do(world, nothing):
        world.services.sweep.run()
    assert world.alerts() == []


def test_a_message_that_this_runs_own_job_sends_is_not_stuck(world: World) -> None:
    _, request = old_request(world)
    world.services.sweep.run()
    world.wait_for(request, "sent")
    assert world.alerts() == []


@pytest.mark.parametrize("status", ["reconnecting", "error"])
def test_a_message_that_waits_for_its_account_is_not_stuck(world: World, status: str) -> None:
    set_account(world, status=status)
    _, request = old_request(world)
    with jobs_do(world, nothing):
        world.services.sweep.run()
    assert world.alerts() == []
    world.db.collection(schema.OUTBOX).document(request).delete()


def test_a_message_that_is_held_is_not_stuck(world: World) -> None:
    """Its owner said when, or an attempt was made just now."""
    _, request = old_request(world)
    world.hold_until(request, 300)
    world.services.sweep.run()
    assert world.alerts() == []
    world.db.collection(schema.OUTBOX).document(request).delete()
