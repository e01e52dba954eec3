"""Somebody else writes between a command's look and its write: the command loses."""

import io
from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from google.api_core.exceptions import Aborted

from connector.admin import creation, decisions, limits, replays, wishes
from connector.admin.context import Change, Context, Creation
from connector.admin.screen import Screen
from connector.admin.standing import read_one
from core import ids, schema
from core.account import DesiredState, claim_fields, parse_lease
from core.decision import DecidedBy, Decision
from core.errors import ErrorCode, described
from core.ids import AccountId, WorkerId
from tests.backend.refused_commits import refused
from tests.connector_admin.inbox import Inbox

BY = DecidedBy(uid=decisions.UID, email=None)


@pytest.fixture
def context(inbox: Inbox) -> Iterator[Context]:
    made = Context(inbox.admin.project, Screen(out=io.StringIO(), errors=io.StringIO(), as_json=False))
    yield made
    made.db.close()


def test_a_row_that_was_changed_since_it_was_read_is_left(inbox: Inbox, context: Context) -> None:
    name = inbox.row(inbox.chat(inbox.account()), described(ErrorCode.INVALID_EVENT, "mended"))
    row = context.read(schema.INGEST, name)
    assert row is not None
    inbox.db.collection(schema.INGEST).document(name).update({"processAttempts": 2})
    outcome = replays.take(context, row, anyway=False)
    assert outcome.left == "somebody else has just changed it; look at it again"
    assert inbox.get(schema.INGEST, name)["processed"] is True


@pytest.mark.parametrize("changed", ["request", "message"])
def test_a_request_that_was_changed_since_it_was_read_is_looked_at_again(
    inbox: Inbox, context: Context, changed: str
) -> None:
    thread = inbox.chat(inbox.account())
    request = inbox.uncertain(thread)
    message = ids.wa_message_id(thread, ids.outbound_key(request))
    standing = decisions.read(context, request, thread)
    collection, name = (schema.OUTBOX, request) if changed == "request" else (schema.MESSAGES, message)
    inbox.db.collection(collection).document(name).update({"lastTriedAt": datetime.now(UTC)})
    assert not decisions.decide(context, standing, Decision.RESEND, BY)
    assert "decision" not in inbox.get(schema.OUTBOX, request)
    assert decisions.decide(context, decisions.read(context, request, thread), Decision.RESEND, BY)


def test_an_account_whose_creation_firestore_gave_up_is_created_and_does_not_exist_already(
    inbox: Inbox, context: Context
) -> None:
    with refused(Aborted("too much contention on these documents")):
        creation.create(context, Namespace(account=AccountId("shop-1"), name="Shop"))
    assert inbox.get(schema.ACCOUNTS, "shop-1")["name"] == "Shop"
    assert inbox.get(schema.LEASES, "shop-1")["epoch"] == 0


def test_limits_that_firestore_gave_up_to_write_are_written_and_not_an_unknown_account(
    inbox: Inbox, context: Context
) -> None:
    account = inbox.account()
    with refused(Aborted("too much contention on these documents"), touching=account):
        limits.limits(context, Namespace(account=account, coldPerDay=7))
    assert inbox.get(schema.ACCOUNTS, account)["coldPerDay"] == 7


def test_a_pause_that_meets_a_claim_is_left_to_the_new_owner(
    inbox: Inbox, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, commit = inbox.account(owner=None), Context.commit

    def claim_and_commit(late: Context, writes: Sequence[Change | Creation]) -> None:
        lease = parse_lease(inbox.get(schema.LEASES, account))
        if lease.owner is None:
            claim = claim_fields(lease, WorkerId("w2"), "http://127.0.0.1:1", datetime.now(UTC), 3600)
            inbox.db.collection(schema.LEASES).document(account).update(claim)
        commit(late, writes)

    monkeypatch.setattr(Context, "commit", claim_and_commit)
    wishes.write(context, read_one(context, account), DesiredState.PAUSED, None)
    assert inbox.get(schema.ACCOUNTS, account)["status"] == "connected"
    lease = parse_lease(inbox.get(schema.LEASES, account))
    assert (lease.owner, lease.wanted) == ("w2", False)
