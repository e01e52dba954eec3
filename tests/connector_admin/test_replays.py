"""`replay`: rows that were kept are opened again, those that are fine are not, and the functions take them up."""

from typing import Any

import pytest

from core import schema
from core.errors import ErrorCode, described
from core.ids import AccountId
from tests.backend.world import World
from tests.connector_admin.inbox import DIGITS, Inbox
from tests.connector_admin.running import CommandLine

UNKNOWN_KIND = described(ErrorCode.EVENT_TYPE_UNKNOWN, "a message of a kind that these functions do not know")
INVALID = described(ErrorCode.INVALID_EVENT, "payload.text must be a string")
HOLOGRAM = {"kind": "hologram", "text": None, "fromMe": False, "pushName": "Ion"}


def is_open(inbox: Inbox, row: str) -> bool:
    document = inbox.get(schema.INGEST, row)
    return document["processed"] is False and document["processedAt"] is None


def test_a_corrected_row_becomes_its_message_with_the_next_sweep(world: World) -> None:
    chat = world.chat()
    row = world.receive(chat, "good morning", payload={"text": 7})
    world.trigger_ingest(row)
    kept = world.row(row)
    assert kept["processed"] is True
    world.db.collection(schema.INGEST).document(row).update({"payload.text": "good morning"})

    out = " ".join(CommandLine(project=world.settings.project).does("replay", row).split())
    assert "payload.text must be a string" in out
    assert "It becomes a message in its chat" in out
    world.services.ingest.drain(world.account, chat)
    after = world.row(row)
    assert (after["processed"], after["lastProcessError"]) == (True, None)
    assert world.message(chat, row.rpartition("_")[2])["text"] == "good morning"
    (alert,) = world.alerts()
    assert alert["resolvedAt"] is not None


def test_a_row_that_would_be_refused_again_is_left_unless_it_is_asked_for(inbox: Inbox) -> None:
    row = inbox.row(inbox.chat(inbox.account()), UNKNOWN_KIND, payload=HOLOGRAM)
    errors = inbox.admin.fails(1, "replay", row)
    assert "it would be refused again: event_type_unknown" in errors
    assert "Deploy the functions of the connector's version" in errors
    assert not is_open(inbox, row)
    assert "unless the functions are newer" in " ".join(inbox.admin.does("replay", row, "--anyway").split())
    assert is_open(inbox, row)


def test_an_opened_row_has_no_end_that_would_remove_it(inbox: Inbox) -> None:
    missing = described(ErrorCode.MESSAGE_MISSING, "it did not appear")
    thread = inbox.chat(inbox.account())
    receipt = {"eventType": "receipt", "payload": {"target": "3EB0AA", "delivery": "read"}}
    row = inbox.row(thread, missing, **receipt, expireAt=inbox.get(schema.THREADS, thread)["createdAt"])
    (found,) = inbox.admin.data("replay", row)
    assert (found["openAgain"], found["was"]) == (True, missing)
    assert "expireAt" not in inbox.get(schema.INGEST, row)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [({}, "the row is fine"), ({"processed": False, "processedAt": None}, "the row waits already")],
)
def test_a_row_that_is_fine_is_left_alone(inbox: Inbox, fields: dict[str, Any], complaint: str) -> None:
    row = inbox.row(inbox.chat(inbox.account()), None, **fields)
    before = inbox.get(schema.INGEST, row)
    assert complaint in inbox.admin.fails(1, "replay", row)
    assert inbox.get(schema.INGEST, row) == before


def test_all_of_an_account_are_opened_but_those_that_would_be_refused_again(inbox: Inbox) -> None:
    account, other = inbox.account(), inbox.account()
    thread = inbox.chat(account)
    mended = [inbox.row(thread, INVALID), inbox.row(thread, UNKNOWN_KIND)]
    broken, fine = inbox.row(thread, UNKNOWN_KIND, payload=HOLOGRAM), inbox.row(thread, None)
    others = inbox.row(inbox.chat(other), INVALID)
    ended = inbox.admin.run("replay", "--account", account)
    assert ended.status == 1
    assert "1 of 3 rows were left as they are" in ended.errors
    assert [is_open(inbox, row) for row in [*mended, broken, fine, others]] == [True, True, False, False, False]
    assert DIGITS not in ended.out


def test_a_code_without_an_account_is_found_by_its_alerts(inbox: Inbox) -> None:
    account, other = inbox.account(), inbox.account()
    mended = [inbox.row(inbox.chat(account), UNKNOWN_KIND) for _ in range(2)]
    invalid = inbox.row(inbox.chat(account), INVALID)
    unnamed = inbox.row(inbox.chat(other), UNKNOWN_KIND)
    inbox.alert(ErrorCode.EVENT_TYPE_UNKNOWN, account, account, f"{schema.INGEST}/{mended[0]}")
    found = inbox.admin.data("replay", "--all-of-code", "event_type_unknown")
    assert {each["eventId"] for each in found} == set(mended)
    assert [is_open(inbox, row) for row in [*mended, invalid, unnamed]] == [True, True, False, False]


def test_a_row_whose_account_cannot_be_read_is_found_by_its_alert(inbox: Inbox) -> None:
    row = inbox.row(inbox.chat(inbox.account()), INVALID, accountId=7)
    inbox.alert(ErrorCode.INVALID_EVENT, row, None, f"{schema.INGEST}/{row}")
    inbox.admin.fails(1, "replay", "--all-of-code", "invalid_event")
    inbox.admin.does("replay", "--all-of-code", "invalid_event", "--anyway")
    assert is_open(inbox, row)


def test_nothing_to_replay_is_said(inbox: Inbox) -> None:
    account = inbox.account()
    assert "there is nothing to replay" in inbox.admin.does("replay", "--account", account)


def test_a_row_or_account_that_is_not_there_is_not_found(inbox: Inbox) -> None:
    assert "there is no such row" in inbox.admin.fails(3, "replay", "nowhere")
    assert "there is no account" in inbox.admin.fails(3, "replay", "--account", AccountId("nobody"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name a row"),
        (["row", "--account", "a"], "not both"),
        (["--all-of-code", "message_missing"], "add --account ID"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(inbox: Inbox, arguments: list[str], complaint: str) -> None:
    assert complaint in inbox.admin.fails(2, "replay", *arguments)
