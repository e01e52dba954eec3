"""`create` writes what threadlineCreateAccount writes, and can be run again."""

from datetime import datetime
from typing import Any

from core import diagnosis, schema
from core.ids import AccountId
from tests.backend.world import World
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine


def documents(db: Any, account: str) -> list[dict[str, Any]]:
    found = [db.collection(table).document(account).get().to_dict() for table in (schema.ACCOUNTS, schema.LEASES)]
    return [
        {name: "a time" if isinstance(value, datetime) else value for name, value in (document or {}).items()}
        for document in found
    ]


def test_the_callable_and_the_command_leave_the_same_documents(world: World) -> None:
    world.services.accounts.create("Shop", AccountId("shop-1"))
    ended = CommandLine(project=world.db.project).run("create", "shop-2", "--name", "Shop")
    assert ended.status == 0
    by_callable, by_command = documents(world.db, "shop-1"), documents(world.db, "shop-2")
    assert by_command[0].pop("accountId") == "shop-2"
    assert by_callable[0].pop("accountId") == "shop-1"
    assert by_command == by_callable


def test_creating_an_account_again_changes_nothing(inbox: Inbox) -> None:
    assert inbox.admin.run("create", "shop-1", "--json").data == {"account": "shop-1", "created": True}
    account = inbox.db.collection(schema.ACCOUNTS).document("shop-1")
    account.update({"name": "Our shop"})
    before = documents(inbox.db, "shop-1")
    ended = inbox.admin.run("create", "shop-1")
    assert ended.status == 0
    assert "exists already" in ended.out
    assert documents(inbox.db, "shop-1") == before


def test_half_an_account_is_not_taken_for_one(inbox: Inbox) -> None:
    inbox.db.collection(schema.LEASES).document("shop-1").create({"epoch": 3})
    ended = inbox.admin.run("create", "shop-1")
    assert ended.status == 1
    assert "has no account document" in ended.errors


def test_the_doctors_account_is_nobodys(inbox: Inbox) -> None:
    """Its requests are ended without being sent."""
    assert "the doctor's" in inbox.admin.fails(2, "create", diagnosis.ACCOUNT)
    assert not inbox.db.collection(schema.LEASES).document(diagnosis.ACCOUNT).get().exists
