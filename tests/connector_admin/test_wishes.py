"""`pause`, `resume`, `logout` and `close-gap` write what the callables write."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import schema
from core.account import DesiredState
from core.ids import AccountId
from tests.backend.world import World
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine

IN_AN_HOUR = datetime.now(UTC) + timedelta(hours=1)
A_GAP: dict[str, Any] = {"degraded": True, "degradedReason": "gap: 1 message announced by WhatsApp never came"}


def documents(world: World, account: AccountId) -> list[dict[str, Any]]:
    """Account, lease and private state, without what differs from command to command."""
    accounts, leases = world.db.collection(schema.ACCOUNTS), world.db.collection(schema.LEASES)
    references = (accounts.document(account), leases.document(account), private_state(world, account))
    documents = [reference.get().to_dict() or {} for reference in references]
    found = [{name: _without_time(value) for name, value in document.items()} for document in documents]
    if found[1]["command"] is not None:
        assert len(found[1]["command"].pop("id")) == 16
    return found


def private_state(world: World, account: AccountId) -> Any:
    document = world.db.collection(schema.ACCOUNTS).document(account)
    return document.collection(schema.PRIVATE).document(schema.PRIVATE_STATE)


def _without_time(value: object) -> Any:
    if isinstance(value, list):
        return [_without_time(each) for each in value]
    return "a time" if isinstance(value, datetime) else value


@pytest.mark.parametrize(
    ("command", "is_owned"),
    [("pause", True), ("pause", False), ("resume", False), ("logout", False), ("close-gap", False)],
)
def test_the_callable_and_the_command_leave_the_same_documents(world: World, command: str, is_owned: bool) -> None:
    def start() -> None:
        world.connect()
        if command == "resume":
            world.services.accounts.set_desired_state(world.account, DesiredState.PAUSED)
        if command == "close-gap":
            world.db.collection(schema.ACCOUNTS).document(world.account).update(A_GAP)
        private_state(world, world.account).set({"qrCodeDataUrl": "a code"})
        for name in (schema.ACCOUNTS, schema.LEASES):  # the times of its making
            times = {"updatedAt": 0, "leaseUntil": IN_AN_HOUR if is_owned else 0, "lastSeenAt": 0}
            world.db.collection(name).document(world.account).update(times)

    accounts = world.services.accounts
    start()
    if command == "logout":
        accounts.log_out(world.account)
    elif command == "close-gap":
        accounts.close_gap(world.account)
    else:
        state = DesiredState.PAUSED if command == "pause" else DesiredState.CONNECTED
        accounts.set_desired_state(world.account, state)
    by_the_callable = documents(world, world.account)

    start()
    before = documents(world, world.account)
    out = CommandLine(project=world.settings.project).does(command, world.account)
    assert documents(world, world.account) == by_the_callable != before
    assert f"project {world.settings.project}" in out


def test_who_closes_the_session_is_said(inbox: Inbox) -> None:
    account = inbox.account()
    assert "its owner worker-1, within 8 s, closes the session" in " ".join(inbox.admin.does("pause", account).split())
    free = inbox.account(owner=None)
    assert "no connector holds its session" in inbox.admin.does("pause", free)
    assert "the connector that takes it next opens" in " ".join(inbox.admin.does("resume", free).split())


def test_a_pause_of_an_account_that_nobody_owns_is_told_at_once(inbox: Inbox) -> None:
    """Its owner would, and nobody claims it any more."""
    account = inbox.account(lease_s=-60)
    inbox.admin.does("pause", account)
    told = inbox.get(schema.ACCOUNTS, account)
    assert (told["status"], told["disconnectReason"], told["assignedWorkerId"]) == ("disconnected", "paused", None)
    assert "paused; its messages wait" in inbox.admin.does("account", account)


def test_a_command_answers_with_data_too(inbox: Inbox) -> None:
    account = inbox.account()
    found = inbox.admin.data("pause", account)
    assert (found["accountId"], found["project"]) == (account, inbox.admin.project)


def test_a_paused_account_is_not_logged_out(inbox: Inbox) -> None:
    account = inbox.account(desiredState="paused", status="disconnected")
    errors = inbox.admin.fails(1, "logout", account)
    assert f"resume {account}" in errors
    assert inbox.get(schema.LEASES, account)["command"] is None


def test_a_gap_is_closed_only_where_one_is_open_and_an_owner_can(inbox: Inbox) -> None:
    whole = inbox.account(degraded=True, degradedReason="deaf: nothing was heard")
    assert "no gap" in inbox.admin.fails(1, "close-gap", whole)
    paused = inbox.account(desiredState="paused", status="disconnected", **A_GAP)
    assert f"resume {paused}" in inbox.admin.fails(1, "close-gap", paused)
    for account in (whole, paused):
        assert inbox.get(schema.LEASES, account)["command"] is None
