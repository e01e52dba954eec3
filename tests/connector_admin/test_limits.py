"""`limits` shows what holds, and writes what the callable writes."""

from core import schema
from tests.backend.world import World
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine
from tests.connector_admin.test_wishes import documents


def test_the_callable_and_the_command_leave_the_same_documents_and_answer_the_same(world: World) -> None:
    admin = CommandLine(project=world.settings.project)
    world.connect()
    start = documents(world, world.account)
    by_callable = world.services.accounts.limits(world.account, {"coldPerDay": 80, "warmUpDays": None})
    changed = documents(world, world.account)
    assert changed != start
    world.db.collection(schema.ACCOUNTS).document(world.account).update({"coldPerDay": 1, "warmUpDays": 1})
    answer = admin.data("limits", world.account, "--cold-per-day", "80", "--warm-up-days", "default")
    assert answer["limits"] == by_callable
    assert documents(world, world.account) == changed


def test_what_holds_is_shown_and_which_are_defaults(inbox: Inbox) -> None:
    account = inbox.account(sendsPerMinute=30, coldPerDay="many")
    lines = inbox.admin.does("limits", account).splitlines()
    assert [line.split(":")[0].split(maxsplit=1) for line in lines] == [
        ["sends-per-minute", "30 (default 60)"],
        ["send-burst", "20 (the default)"],
        ["cold-per-day", "50 (the default)"],
        ["warm-up-days", "14 (the default)"],
        ["queue-limit-s", "86400 (the default)"],
    ]
    assert inbox.get(schema.ACCOUNTS, account)["coldPerDay"] == "many"


def test_one_that_is_set_leaves_the_others(inbox: Inbox) -> None:
    account = inbox.account(sendBurst=5)
    assert "within 15 s" in inbox.admin.does("limits", account, "--queue-limit-s", "300")
    stored = inbox.get(schema.ACCOUNTS, account)
    assert (stored["sendBurst"], stored["queueLimitS"], "coldPerDay" in stored) == (5, 300, False)
    inbox.admin.does("limits", account, "--send-burst", "default")
    assert inbox.admin.data("limits", account)["limits"]["sendBurst"] == {"value": 20, "isDefault": True}
