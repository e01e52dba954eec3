"""Alerts that end by themselves: closed by whoever ends the cause, or by the sweeper; open again when the cause is back."""

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from backend import connector_client
from backend.sweep_rows import RowSweep
from core import schema
from core.account import DesiredState, new_lease_document
from core.alert import Alert
from core.alert_types import AlertType, Condition
from core.degradation import Cause, Degradation
from core.errors import ErrorCode
from tests.backend.alerts import is_open, set_account, set_lease, standing
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of

A_QUIET_DAY = timedelta(hours=2.5)
"""In the time scale of these tests."""
LONG = timedelta(minutes=30)


def raised(world: World, code: AlertType, *, age: timedelta = timedelta(0)) -> None:
    alert = Alert(code=code, cause=world.account, account_id=world.account, message=f"{code}: x")
    commit = world.services.stores.commit()
    commit.raise_alert(alert, datetime.now(UTC) - age)
    commit.run()


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
    assert closed["resolvedAt"] >= closed["lastAt"] >= closed["createdAt"]
    assert closed["expireAt"] > datetime.now(UTC) + timedelta(days=80)
    raised(world, ErrorCode.BANNED)
    again = standing(world, ErrorCode.BANNED)
    assert (again["count"], again["resolvedAt"], again["expireAt"]) == (3, None, None)
    assert again["createdAt"] == first["createdAt"]


def test_an_alert_of_nine_and_again_of_five_keeps_its_first_time_and_notes_its_last(world: World) -> None:
    raised(world, ErrorCode.BANNED, age=timedelta(hours=8))
    raised(world, ErrorCode.BANNED)
    alert = standing(world, ErrorCode.BANNED)
    assert alert["lastAt"] - alert["createdAt"] > timedelta(hours=7)
    assert datetime.now(UTC) - alert["lastAt"] < timedelta(hours=1)


def test_an_alert_that_happens_now_and_then_is_not_over_after_a_quiet_day_since_the_first(world: World) -> None:
    raised(world, ErrorCode.EXPIRED, age=2 * A_QUIET_DAY)
    raised(world, ErrorCode.EXPIRED)
    world.services.sweep.run()
    assert standing(world, ErrorCode.EXPIRED)["resolvedAt"] is None


SESSION = [
    ErrorCode.LOGGED_OUT,
    ErrorCode.STORE_BEHIND,
    ErrorCode.REPLACED,
    ErrorCode.BANNED,
    ErrorCode.OUTDATED,
    ErrorCode.QUARANTINED,
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
    events = [world.receive(chat, "x", payload={"kind": "hologram"}) for _ in range(2)]
    for event in events:
        world.trigger_ingest(event)
    (alert,) = world.alerts()
    assert (alert["type"], alert["count"], alert["resolvedAt"]) == ("event_type_unknown", 2, None)
    open_again(world, events[0], **{"payload.kind": "text"})
    world.services.sweep.run()
    (closed,) = world.alerts()
    assert closed["resolvedAt"] is not None


def forget_other_accounts(world: World) -> None:
    """A sweep notifies connectors of ten accounts without an owner, the longest without one first: other tests leave theirs behind."""
    for lease in world.db.collection(schema.LEASES).stream():
        if lease.id != world.account:
            lease.reference.delete()


def test_an_account_without_an_owner_is_poked_and_after_a_while_somebody_is_told(world: World) -> None:
    forget_other_accounts(world)
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
    monkeypatch.setattr(connector_client, "_NOTIFY_TIMEOUT_S", 0.5)
    forget_other_accounts(world)
    accounts = [world.account, *(f"{world.account}-{n}" for n in range(2))]
    for account in accounts:
        world.db.collection(schema.LEASES).document(account).set(new_lease_document(datetime.now(UTC) - LONG))
    owners = world.services.sweep.owners
    with socket.create_server(("", 0)) as hanging:  # it takes calls, and answers none
        hanging.setblocking(False)
        silent = f"http://0.0.0.0:{hanging.getsockname()[1]}"
        shards = replace(owners.connector, allowed=owners.connector.allowed | {silent})
        replace(world.services.sweep, owners=replace(owners, connector=shards)).run()
        hanging.accept()[0].close()
        with pytest.raises(BlockingIOError):
            hanging.accept()
    assert set(accounts) <= set(world.connector.poked)
    for account in accounts:
        world.db.collection(schema.LEASES).document(account).delete()


@pytest.mark.parametrize("condition", [Condition.DEAF, Condition.GAP, Condition.PHONE_NOT_SEEN])
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
