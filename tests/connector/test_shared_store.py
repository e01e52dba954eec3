"""Workers whose engines share one store: what a frozen owner would write when it wakes up must not be over the next one's."""

from collections.abc import Iterator

import psutil
import pytest

from local import postgres
from local.processes import Processes
from local.whatsapp import NetworkKind
from tests.connector.stage import Connector, Stage
from tests.connector.test_engine_process import logged, running_engine, serves
from tests.connector.test_frozen_owner import Owned, owned
from tests.connector.test_sending import new_key
from tests.waiting import wait_until

NETWORKS = (NetworkKind.REAL,)
"""The simulated engine is WhatsApp at once, and has no store of its own."""
ROUNDS = 3


@pytest.fixture(scope="module")
def shared_store(processes: Processes) -> Iterator[str]:
    """A SQLite file is one machine's; workers share a PostgreSQL."""
    with postgres.running(processes) as running:
        yield running.dsn


@pytest.mark.parametrize("with_engine", [False, True], ids=["connector", "connector and engine"])
def test_a_frozen_owner_leaves_the_session_to_the_next_one(stage: Stage, shared_store: str, with_engine: bool) -> None:
    """On one PostgreSQL store: what the first one would write when it wakes up, its ratchets too, must not be over the second one's."""
    owner = stage.start_connector(ENGINE_STORE=shared_store)
    of = owned(stage, owner)
    rows = [of.write("to the first owner")]
    stage.await_row(of.account, rows[0])
    for _ in range(ROUNDS):
        owner = next_owner(of, owner, rows, with_engine, shared_store)


def next_owner(of: Owned, first: Connector, rows: list[str], with_engine: bool, store: str) -> Connector:
    """The first owner sleeps through a change of owner, and wakes up. `rows` are the keys of all that the contact wrote."""
    stage, account = of.stage, of.account
    wait_until(lambda: serves(first), "its engine serves")
    frozen = [psutil.Process(first.child.process.pid), *([running_engine(first)] if with_engine else [])]
    for process in reversed(frozen):
        process.suspend()
    rows += [of.write("while it is frozen") for _ in range(3)]
    second = stage.start_connector(ENGINE_STORE=store)
    stage.await_connected(account, assignedWorkerId=second.worker)
    for row in rows:
        stage.await_row(account, row)
    assert second.send(account, of.chat, new_key()) == {"outcome": "sent"}
    epoch = stage.lease(account).epoch
    for process in frozen:
        process.resume()
    wait_until(lambda: logged(first, "lease_lost"), "the first owner knows")
    for _ in range(3):
        rows.append(of.write("after it woke up"))
        stage.await_row(account, rows[-1])
        assert second.send(account, of.chat, new_key()) == {"outcome": "sent"}
    assert sorted(key for key in stage.rows(account) if key.endswith("-in")) == sorted(rows), "each once, all decrypted"
    lease = stage.lease(account)
    assert (lease.owner, lease.epoch) == (second.worker, epoch)
    assert stage.account(account)["assignedWorkerId"] == second.worker
    stage.stop(first)
    return second
