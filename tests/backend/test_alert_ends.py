"""Alerts that end by themselves: closed by whoever ends the cause, or by the sweeper; open again when the cause is back."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend import connector_client, sweep_alerts
from backend.send import JobEnd
from backend.sweep_rows import RowSweep
from core import schema
from core.account import DesiredState, new_lease_document
from core.alert import Alert
from core.alert_types import AlertType, Condition
from core.degradation import Cause, Degradation
from core.errors import ErrorCode
from tests.backend.scripted_connector import Answer
from tests.backend.world import NOBODY_LISTENS, Document, World, key_of

A_QUIET_DAY = timedelta(hours=2.5)
"""In the time scale of these tests."""
LONG = timedelta(minutes=30)


def raised(world: World, code: AlertType, *, age: timedelta = timedelta(0)) -> None:
    alert = Alert(code=code, cause=world.account, account_id=world.account, message=f"{code}: x")
    commit = world.services.stores.commit()
    commit.raise_alert(alert, datetime.now(UTC) - age)
    commit.run()


def standing(world: World, code: AlertType) -> Document:
    found = world.alert_of(code, world.account)
    assert found is not None, f"there is no alert {code}"
    return found


def is_open(world: World, code: AlertType) -> bool:
    return standing(world, code)["resolvedAt"] is None


def set_account(world: World, **fields: Any) -> None:
    world.db.collection(schema.ACCOUNTS).document(world.account).update(fields)


def set_lease(world: World, **fields: Any) -> None:
    world.db.collection(schema.LEASES).document(world.account).update(fields)


def sent_message(world: World) -> None:
    chat = world.chat()
    world.accept(world.write(chat))
    world.send_job(chat)


def test_an_alert_counts_is_closed_and_is_the_same_one_when_its_cause_is_back(world: World) -> None:
    for _ in range(2):
        raised(world, ErrorCode.BANNED)
    first = standing(world, ErrorCode.BANNED)
    assert (first["count"], first["resolvedAt"], first["expireAt"]) == (2, None, None)
    world.services.sweep.run()
    closed = standing(world, ErrorCode.BANNED)
    assert closed["resolvedAt"] >= closed["createdAt"] >= closed["firstAt"]
    assert closed["expireAt"] > datetime.now(UTC) + timedelta(days=80)
    raised(world, ErrorCode.BANNED)
    again = standing(world, ErrorCode.BANNED)
    assert (again["count"], again["resolvedAt"], again["expireAt"]) == (3, None, None)
    assert again["firstAt"] == first["firstAt"]


SESSION = [
    ErrorCode.LOGGED_OUT,
    ErrorCode.STORE_BEHIND,
    ErrorCode.REPLACED,
    ErrorCode.BANNED,
    ErrorCode.OUTDATED,
    ErrorCode.OTHER_NUMBER,
]


@pytest.mark.parametrize("status", ["error", "connected"])
def test_a_sessions_alerts_are_over_when_the_account_is_connected(world: World, status: str) -> None:
    set_account(world, status=status)
    for code in SESSION:
        raised(world, code)
    world.services.sweep.run()
    assert [is_open(world, code) for code in SESSION] == [status != "connected"] * len(SESSION)


def test_an_alert_that_was_closed_is_left_as_it_was_closed(world: World) -> None:
    raised(world, ErrorCode.BANNED)
    world.services.sweep.run()
    closed_at = standing(world, ErrorCode.BANNED)["resolvedAt"]
    world.services.sweep.run()
    commit = world.services.stores.commit()
    commit.resolve_alert(Alert(code=ErrorCode.BANNED, cause=world.account, message="").alert_id, datetime.now(UTC))
    commit.run()
    assert standing(world, ErrorCode.BANNED)["resolvedAt"] == closed_at


def test_a_connector_that_took_the_call_after_all_ends_its_alert_with_the_message_that_waited(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(status=403, reaches_wire=False))
    world.accept(request)
    world.send_job(chat)
    assert is_open(world, ErrorCode.CONNECTOR_REFUSED)
    world.db.collection(schema.OUTBOX).document(request).update({"claimUntil": None})
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"
    assert not is_open(world, ErrorCode.CONNECTOR_REFUSED)


def test_an_endpoint_that_is_allowed_again_ends_its_alert(world: World) -> None:
    world.connect(endpoint="http://elsewhere.example.com")
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.send_job(chat)
    assert is_open(world, ErrorCode.ENDPOINT_NOT_ALLOWED)
    world.connect()
    world.send_job(chat)
    assert world.request(request)["status"] == "sent"
    assert not is_open(world, ErrorCode.ENDPOINT_NOT_ALLOWED)


@pytest.mark.parametrize(
    "code", [ErrorCode.ACCOUNT_UNKNOWN, ErrorCode.CONNECTOR_REFUSED, ErrorCode.ENDPOINT_NOT_ALLOWED]
)
def test_a_message_that_is_sent_later_ends_what_no_waiting_one_could(world: World, code: ErrorCode) -> None:
    sent_message(world)
    raised(world, code)
    world.services.sweep.run()
    assert is_open(world, code)
    sent_message(world)
    world.services.sweep.run()
    assert not is_open(world, code)


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.NOT_SENT,
        ErrorCode.EXPIRED,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.WRONG_REQUEST_ID,
        ErrorCode.THREAD_UNKNOWN,
    ],
)
def test_what_only_tells_of_ended_messages_is_over_after_a_quiet_day(world: World, code: ErrorCode) -> None:
    raised(world, code, age=A_QUIET_DAY / 2)
    world.services.sweep.run()
    assert is_open(world, code)
    raised(world, code, age=A_QUIET_DAY)
    world.services.sweep.run()
    assert not is_open(world, code)


@pytest.mark.parametrize("code", [ErrorCode.OUTCOME_UNKNOWN, ErrorCode.INVALID_EVENT, ErrorCode.EVENT_TYPE_UNKNOWN])
def test_what_a_person_must_decide_or_mend_stays_open_however_long_it_takes(world: World, code: ErrorCode) -> None:
    raised(world, code, age=10 * A_QUIET_DAY)
    sent_message(world)
    world.services.sweep.run()
    assert is_open(world, code)


def open_again(world: World, event: str, **fields: Any) -> None:
    """As the runbook says, after the row or the functions were corrected."""
    received_at = datetime.now(UTC) - timedelta(minutes=10)
    document = world.db.collection(schema.INGEST).document(event)
    document.update({"processed": False, "receivedAt": received_at, **fields})


@pytest.mark.parametrize("take", ["sweep", "trigger"])
def test_a_poison_row_that_is_taken_up_after_a_correction_ends_its_alert(world: World, take: str) -> None:
    chat = world.chat()
    event = world.receive(chat, "x", payload={"fromMe": "no"})
    world.trigger_ingest(event)
    alert = world.alert_of("invalid_event", event)
    assert alert is not None
    assert alert["resolvedAt"] is None
    open_again(world, event)
    world.services.sweep.run()
    counted = world.alert_of("invalid_event", event)
    assert counted is not None
    assert (counted["count"], counted["resolvedAt"]) == (2, None)

    open_again(world, event, **{"payload.fromMe": False})
    if take == "sweep":
        world.services.sweep.run()
    else:
        world.trigger_ingest(event)
    assert world.row(event)["lastProcessError"] is None
    closed = world.alert_of("invalid_event", event)
    assert closed is not None
    assert closed["resolvedAt"] is not None


def test_a_kind_that_is_understood_by_now_ends_the_alert_of_its_kind(world: World) -> None:
    chat = world.chat()
    events = [world.receive(chat, "x", payload={"kind": "sticker"}) for _ in range(2)]
    for event in events:
        world.trigger_ingest(event)
    (alert,) = world.alerts()
    assert (alert["type"], alert["count"], alert["resolvedAt"]) == ("event_type_unknown", 2, None)
    open_again(world, events[0], **{"payload.kind": "text"})
    world.services.sweep.run()
    (closed,) = world.alerts()
    assert closed["resolvedAt"] is not None


def test_an_account_without_an_owner_is_poked_and_after_a_while_somebody_is_told(world: World) -> None:
    set_lease(world, leaseUntil=datetime.now(UTC) - timedelta(seconds=4), updatedAt=datetime.now(UTC) - LONG)
    world.services.sweep.run()
    assert world.account in world.connector.poked
    assert world.alerts() == []
    set_lease(world, leaseUntil=datetime.now(UTC) - LONG)
    for _ in range(2):
        world.services.sweep.run()
    alert = standing(world, Condition.NO_OWNER)
    assert (alert["count"], alert["severity"], alert["resolvedAt"]) == (1, "error", None)
    world.connect()
    world.services.sweep.run()
    assert not is_open(world, Condition.NO_OWNER)


def test_a_shard_that_hangs_is_asked_once_a_sweep_and_the_others_are_told_of_every_account(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector_client, "_CALL_TIMEOUT_S", 0.5)
    accounts = [world.account, *(f"{world.account}-{n}" for n in range(2))]
    for account in accounts:
        world.db.collection(schema.LEASES).document(account).set(new_lease_document(datetime.now(UTC) - LONG))
    owners = world.services.sweep.owners
    with socket.create_server(("", 0)) as hanging:  # it takes calls, and answers none
        hanging.setblocking(False)
        silent = (
            f"http://0.0.0.0:{hanging.getsockname()[1]}"  # before the others, in the order in which shards are asked
        )
        shards = replace(owners.connector, allowed=owners.connector.allowed | {silent})
        replace(world.services.sweep, owners=replace(owners, connector=shards)).run()
        hanging.accept()[0].close()
        with pytest.raises(BlockingIOError):
            hanging.accept()
    assert set(accounts) <= set(world.connector.poked)
    for account in accounts:
        world.db.collection(schema.LEASES).document(account).delete()


@pytest.mark.parametrize("condition", [Condition.DEAF, Condition.GAP])
def test_what_degraded_an_account_is_over_when_its_document_says_so(world: World, condition: Condition) -> None:
    """Where the owner died before it could close the alert."""
    other = Cause.GAP if condition is Condition.DEAF else Cause.DEAF
    degradation = Degradation()
    degradation.begin(other, "x")
    set_account(world, **degradation.begin(Cause(condition), "x"))
    raised(world, condition)
    world.services.sweep.run()
    assert is_open(world, condition)
    set_account(world, **degradation.end(Cause(condition)))
    world.services.sweep.run()
    assert not is_open(world, condition)


def no_wish(world: World) -> None:
    set_lease(world, wanted=False)


def no_lease(world: World) -> None:
    world.db.collection(schema.LEASES).document(world.account).delete()


@pytest.mark.parametrize("change", [no_wish, no_lease])
def test_an_account_that_nobody_wants_any_more_needs_no_owner(world: World, change: Callable[[World], None]) -> None:
    raised(world, Condition.NO_OWNER)
    set_lease(world, leaseUntil=datetime.now(UTC) - LONG, updatedAt=datetime.now(UTC) - LONG)
    change(world)
    world.services.sweep.run()
    assert not is_open(world, Condition.NO_OWNER)


def test_an_account_that_is_resumed_after_a_long_pause_has_just_begun_to_wait(world: World) -> None:
    set_lease(world, wanted=False, leaseUntil=datetime.now(UTC) - LONG, updatedAt=datetime.now(UTC) - LONG)
    world.services.accounts.set_desired_state(world.account, DesiredState.CONNECTED)
    world.services.sweep.run()
    assert world.alerts() == []


def test_when_no_connector_is_left_one_alert_says_so_for_all_accounts(world: World) -> None:
    free = new_lease_document(datetime.now(UTC) - LONG)
    accounts = [f"{world.account}-{n}" for n in range(12)]
    leases = world.db.collection(schema.LEASES)
    for account in accounts:
        leases.document(account).set(free)
    try:
        for _ in range(2):
            world.services.sweep.run()
        alert = world.alert_of(Condition.NO_OWNER, "all")
        assert alert is not None
        assert (alert["accountId"], alert["resolvedAt"]) == (None, None)
        assert all(world.alert_of(Condition.NO_OWNER, account) is None for account in accounts)
    finally:
        for account in accounts:
            leases.document(account).delete()
    world.services.sweep.run()
    closed = world.alert_of(Condition.NO_OWNER, "all")
    assert closed is not None
    assert closed["resolvedAt"] is not None


def test_an_account_that_goes_from_hand_to_hand_is_told_of_until_it_rests(world: World) -> None:
    set_lease(world, flappedAt=datetime.now(UTC))
    for _ in range(2):
        world.services.sweep.run()
    assert standing(world, Condition.LEASE_FLAPPING)["count"] == 1
    assert is_open(world, Condition.LEASE_FLAPPING)
    set_lease(world, flappedAt=datetime.now(UTC) - LONG)
    world.services.sweep.run()
    assert not is_open(world, Condition.LEASE_FLAPPING)


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


def test_rows_that_the_sweep_cannot_take_up_are_a_backlog_until_they_are_taken_up(world: World) -> None:
    chat = world.chat()
    event = world.receive(chat, "x", receivedAt=datetime.now(UTC) - timedelta(minutes=5))
    failing = RowSweep(world.services.stores, world.settings.timing, cast(Any, _Failing()))
    for _ in range(2):
        assert replace(world.services.sweep, rows=failing).run().failed >= 1
    alert = standing(world, Condition.BACKLOG_GROWING)
    assert (alert["count"], alert["resolvedAt"]) == (1, None)
    world.services.sweep.run()
    assert world.row(event)["processed"] is True
    assert not is_open(world, Condition.BACKLOG_GROWING)


def test_rows_that_this_run_takes_up_are_none(world: World) -> None:
    event = world.receive(world.chat(), "x", receivedAt=datetime.now(UTC) - timedelta(minutes=5))
    world.services.sweep.run()
    assert world.row(event)["processed"] is True
    assert world.alerts() == []


class _Failing:
    """Firestore is gone for whoever takes rows up."""

    def drain(self, *_: object) -> object:
        raise TimeoutError
