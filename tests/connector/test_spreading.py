"""Accounts spread over the workers by load, up to each one's capacity and at a pace; what is owned does not move."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from core import schema
from core.account import new_account_document, new_lease_document
from core.ids import AccountId
from core.timing import Timing
from local.network.account import Opening
from tests.connector.stage import LEASE_TTL_S, Connector, Stage, new_phone
from tests.connector.test_engine_process import logged, program, running_engine, start
from tests.waiting import stays, wait_until

__all__ = ["program"]

UNSCALED: dict[str, Any] = {"TIME_SCALE": "1"}
LOOK_S = Timing().lease_claim_s
PACE_S = Timing().claim_pace_s
PATIENCE_S = 90.0
_names = count(1)


def create_accounts(stage: Stage, number: int, *, linked: bool = False) -> list[AccountId]:
    """All at once, so that whoever looks finds all or none."""
    accounts = [AccountId(f"many-{next(_names)}-{stage.project[-6:]}") for _ in range(number)]
    for account in accounts if linked else ():
        stage.network.link(account, new_phone())
    batch, now = stage.db.batch(), datetime.now(UTC)
    for account in accounts:
        batch.create(stage.db.collection(schema.ACCOUNTS).document(account), new_account_document(account, "Shop"))
        batch.create(stage.db.collection(schema.LEASES).document(account), new_lease_document(now))
    batch.commit()
    return accounts


def owners(stage: Stage, accounts: Sequence[AccountId]) -> Counter[str | None]:
    leases = stage.db.get_all([stage.db.collection(schema.LEASES).document(account) for account in accounts])
    return Counter((lease.to_dict() or {})["ownerInstanceId"] for lease in leases)


def is_ready(connector: Connector) -> bool:
    return connector.get("/readyz").status_code == 200


def free_at_the_same_time(stage: Stage, connectors: Sequence[Connector], number: int, look_s: float) -> list[AccountId]:
    """Accounts that come while no worker looks; then all of them look at the same moment. `look_s`: theirs, between two looks."""
    for connector in connectors:
        wait_until(partial(is_ready, connector), "it has all that it needs")
    for connector in connectors:
        connector.freeze()
    accounts = create_accounts(stage, number)
    time.sleep(look_s)  # now each one's next look is overdue
    for connector in connectors:
        connector.thaw()
    wait_until(lambda: owners(stage, accounts)[None] == 0, "all are claimed", PATIENCE_S)
    return accounts


def test_two_workers_share_what_is_free(stage: Stage) -> None:
    """Each claims at most ten a second, so for one to get less than a quarter it would have to stand still for two seconds."""
    workers = [stage.start_connector(**UNSCALED) for _ in range(2)]
    accounts = free_at_the_same_time(stage, workers, 40, LOOK_S)
    shares = owners(stage, accounts)
    assert [shares[worker.worker] >= 10 for worker in workers] == [True, True], shares


def test_a_worker_with_more_room_comes_first(stage: Stage) -> None:
    """The fuller one leaves the others 3.2 s at this scale, and five claims take the other one less than half of it."""
    slowly: dict[str, Any] = {"TIME_SCALE": "2", "MAX_ACCOUNTS": "20"}
    full = stage.start_connector(**slowly)
    own = create_accounts(stage, 16)
    wait_until(lambda: owners(stage, own)[full.worker] == len(own), "it owns many", PATIENCE_S)
    empty = stage.start_connector(**slowly)
    accounts = free_at_the_same_time(stage, [full, empty], 5, 2 * LOOK_S)
    assert owners(stage, accounts) == {empty.worker: len(accounts)}
    assert owners(stage, own)[full.worker] == len(own)


def test_no_worker_owns_more_than_its_capacity(stage: Stage) -> None:
    first, second = (stage.start_connector(wait=True, MAX_ACCOUNTS="3") for _ in range(2))
    accounts = create_accounts(stage, 8)
    wait_until(lambda: owners(stage, accounts)[None] == 2, "all but two are claimed")
    (free,) = [account for account in accounts if stage.lease(account).owner is None][:1]
    for worker in (first, second):
        worker.poke(free)
    stays(lambda: owners(stage, accounts) == {first.worker: 3, second.worker: 3, None: 2}, "no more", LEASE_TTL_S)
    for worker in (first, second):
        (told,) = logged(worker, "at_capacity")
        assert told["accounts"] == 3
        assert worker.metric("connector_at_capacity") == 1
    (given_up,) = [account for account in accounts if stage.lease(account).owner == first.worker][:1]
    stage.want(first, given_up, False)
    wait_until(lambda: owners(stage, accounts)[None] == 2, "it has room for another")
    wait_until(lambda: stage.lease(given_up).owner is None, "in the place of the one that is paused")


def test_a_worker_that_comes_back_takes_nothing_from_the_others(stage: Stage) -> None:
    first, second = stage.start_connector(), stage.start_connector()
    accounts = create_accounts(stage, 8)
    wait_until(lambda: owners(stage, accounts)[None] == 0, "all are claimed")
    stage.kill(first)
    wait_until(lambda: owners(stage, accounts)[second.worker] == len(accounts), "the other has all of them")
    epochs = [stage.lease(account).epoch for account in accounts]
    back = stage.start_connector(wait=True, WORKER_ID=first.worker)
    late = create_accounts(stage, 1)
    wait_until(lambda: owners(stage, late)[None] == 0, "both look for what is free")
    stays(lambda: owners(stage, accounts)[second.worker] == len(accounts), "none moved", LEASE_TTL_S)
    assert [stage.lease(account).epoch for account in accounts] == epochs
    assert back.metric("connector_leases_lost_total") == 0


def test_many_accounts_start_and_come_back_one_after_the_other(stage: Stage, program: Path) -> None:
    """By the network's record: after a start, and when the engine has been killed under all of them."""
    number, asked_in_a_second = 100, round(1 / PACE_S)
    accounts = create_accounts(stage, number, linked=True)
    connector = start(stage, program, **UNSCALED)

    def openings() -> list[Opening]:
        return [opening for opening in stage.network.openings() if opening.account_id in accounts]

    wait_until(lambda: connector.metric("connector_sessions_connected") == number, "all are connected", PATIENCE_S)
    running_engine(connector).kill()
    wait_until(lambda: sum(len(opening.again_at) for opening in openings()) >= number, "all open again", PATIENCE_S)
    found = openings()
    assert [(opening.epoch, len(opening.again_at)) for opening in found] == [(1, 1)] * number
    # What was sent one after the other may be taken together where a process stood still for a moment.
    for times in ([opening.opened_at for opening in found], [opening.again_at[0] for opening in found]):
        assert most_in_a_second(times) <= asked_in_a_second * 1.5


def most_in_a_second(times: Sequence[float]) -> int:
    return max(sum(begin <= time < begin + 1 for time in times) for begin in times)
