"""A session store that is older than its session was: what the account says, the alert, and that pairing again ends both."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from textwrap import dedent

from core import schema
from local.project import ROOT
from local.whatsapp import NetworkKind
from tests.connector.stage import Connector, Stage
from tests.connector.test_frozen_owner import Owned, owned
from tests.connector.test_sending import new_key
from tests.waiting import wait_until

NETWORKS = (NetworkKind.REAL,)
"""The simulated engine has no store of its own."""


def test_an_older_store_ends_as_needs_qr_with_an_alert_and_is_mended_by_pairing(stage: Stage, tmp_path: Path) -> None:
    connector = stage.start_connector()
    of = owned(stage, connector)
    talk(of, connector)
    copy(stage.store, tmp_path / "older.db")
    talk(of, connector)
    assert stage.stop(connector) == 0
    told = stage.lease(of.account).store_mark
    assert told > 0, "the lease remembers how far the store had come"

    put_back(tmp_path / "older.db", stage.store)
    connector = stage.start_connector()
    found = stage.await_status(of.account, "needs_qr", disconnectReason="store_behind")
    assert found["lastError"].startswith("store_behind: ")
    wait_until(lambda: stage.alerts(of.account), "the alert, which follows the status")
    (alert,) = stage.alerts(of.account)
    assert (alert["type"], alert["severity"], alert["count"], alert["resolvedAt"]) == ("store_behind", "error", 1, None)

    stage.network.log_out(of.ours)  # the person removes the old device on the phone
    stage.pair(connector, of.account, of.ours)
    for _ in range(2):
        talk(of, connector)
    wait_until(lambda: [alert["resolvedAt"] is None for alert in stage.alerts(of.account)] == [False], "it is over")
    assert stage.account(of.account)["lastError"] is None

    assert stage.stop(connector) == 0
    connector = stage.start_connector()
    stage.await_connected(of.account, assignedWorkerId=connector.worker)
    talk(of, connector)
    assert stage.lease(of.account).store_mark > told
    assert [alert["count"] for alert in stage.alerts(of.account)] == [1]


def test_the_mark_is_on_the_lease_of_an_owner_that_is_killed(stage: Stage, tmp_path: Path) -> None:
    """Written with a renewal, not when it ends."""
    connector = stage.start_connector()
    of = owned(stage, connector)
    copy(stage.store, tmp_path / "older.db")
    talk(of, connector)
    told = stage.lease(of.account).store_mark
    renewed(stage, of, told)
    stage.kill_and_expire(connector, of.account)
    put_back(tmp_path / "older.db", stage.store)
    stage.start_connector()
    stage.await_status(of.account, "needs_qr", disconnectReason="store_behind")


def test_a_firestore_that_is_older_than_the_store_opens_nothing_until_its_epochs_are_raised(stage: Stage) -> None:
    """As docs/backup.md has it: the store takes a lower epoch for a former owner's."""
    connector = stage.start_connector()
    of = owned(stage, connector)
    lease = stage.db.collection(schema.LEASES).document(of.account)
    for _ in range(2):
        assert stage.stop(connector) == 0
        connector = stage.start_connector()
        stage.await_connected(of.account, assignedWorkerId=connector.worker)
    assert stage.stop(connector) == 0
    lease.update({"epoch": 1})  # as in the backup
    connector = stage.start_connector()
    refused = stage.await_status(of.account, "reconnecting", disconnectReason="engine_failed")
    assert "FAILED_PRECONDITION" in refused["lastError"]

    assert stage.stop(connector) == 0
    exec(raising_the_epochs().replace("PROJECT", stage.project))  # noqa: S102 - our own document's
    connector = stage.start_connector()
    stage.await_connected(of.account, assignedWorkerId=connector.worker)
    talk(of, connector)


def raising_the_epochs() -> str:
    """The program of docs/backup.md."""
    (program,) = re.findall(r"python -c '(.*?)'", (ROOT / "docs/backup.md").read_text(), re.DOTALL)
    return dedent(f"       {program}")


def talk(of: Owned, connector: Connector) -> None:
    """A message each way."""
    of.stage.await_row(of.account, of.write("in"))
    assert connector.send(of.account, of.chat, new_key()) == {"outcome": "sent"}


def renewed(stage: Stage, of: Owned, told: int) -> None:
    wait_until(lambda: stage.lease(of.account).store_mark > told, "a renewal tells the mark")


def copy(store: Path, to: Path) -> None:
    """A consistent copy of a store that is in use."""
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def put_back(kept: Path, store: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{store}{suffix}").unlink(missing_ok=True)
    copy(kept, store)


def test_of_a_lost_database_an_account_is_told_that_was_paired_and_no_other(stage: Stage) -> None:
    connector = stage.start_connector()
    of = owned(stage, connector)
    never_paired = stage.create_account()
    stage.await_status(never_paired, "needs_qr")
    assert stage.stop(connector) == 0
    for file in stage.store.parent.glob(f"{stage.store.name}*"):
        file.unlink()
    connector = stage.start_connector()
    stage.await_status(of.account, "needs_qr", disconnectReason="store_behind")
    wait_until(lambda: stage.account(never_paired)["assignedWorkerId"] == connector.worker, "it is opened")
    stage.network.log_out(of.ours)
    stage.pair(connector, of.account, of.ours)
    talk(of, connector)
    assert stage.account(never_paired)["lastError"] is None
    assert stage.alerts(never_paired) == []
