"""`who`: a log's short hash leads back to what it stands for."""

import json

import pytest

from connector import log as connector_log
from core import ids, schema
from core.log_hash import log_hash
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine


def test_each_hash_of_a_log_line_leads_to_what_it_stands_for(inbox: Inbox) -> None:
    account, other = inbox.account(), inbox.account()
    thread = inbox.chat(account)
    request, row = inbox.request(thread), inbox.row(thread, None)
    inbox.chat(other)
    key = inbox.admin.project
    for value, field, collection, name in (
        (thread, "thread", schema.THREADS, thread),
        (request, "request", schema.OUTBOX, request),
        (ids.outbound_key(request), "key", schema.OUTBOX, request),
        (row, "row", schema.INGEST, row),
    ):
        found = inbox.admin.data("who", log_hash(key, value))
        assert found == {"field": field, "accountId": account, "collection": collection, "id": name}
    assert thread in inbox.admin.does("who", log_hash(key, thread), "--account", account)
    inbox.admin.fails(3, "who", log_hash(key, thread), "--account", other)


def test_the_hash_is_the_logs_own_and_its_key_is_the_services(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = inbox.request(inbox.chat(inbox.account()))
    monkeypatch.setenv("THREADLINE_LOG_HASH_KEY", "a secret")
    connector_log.send_ended(ids.AccountId("shop-1"), ids.outbound_key(request), "sent", "")
    logged = json.loads(capsys.readouterr().out)["key"]
    with_key = CommandLine(project=inbox.admin.project, environment={"THREADLINE_LOG_HASH_KEY": "a secret"})
    assert request in with_key.does("who", logged)
    assert "THREADLINE_LOG_HASH_KEY is not set here" in inbox.admin.fails(3, "who", logged)
    other_key = CommandLine(project=inbox.admin.project, environment={"THREADLINE_LOG_HASH_KEY": "another"})
    assert "THREADLINE_LOG_HASH_KEY of this shell" in other_key.fails(3, "who", logged)


def test_an_account_that_is_not_there_is_not_found(inbox: Inbox) -> None:
    assert "there is no account" in inbox.admin.fails(3, "who", "0" * 12, "--account", "nobody")


def test_what_is_no_hash_is_wrong_usage(inbox: Inbox) -> None:
    assert "twelve digits" in inbox.admin.fails(2, "who", "0" * 11)
