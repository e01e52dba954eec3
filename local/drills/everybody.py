"""What strikes all accounts, or all that a connector holds: these run alone, one after the other."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from core.alert_types import Condition
from core.errors import ErrorCode
from local import ports, postgres
from local.drills.case import Case
from local.drills.drill import Drill
from local.drills.ground import until
from local.engine_build import RELEASE_ENGINE
from local.faults.cast import Account, Request
from local.production import world as production
from local.production.faults import NO_FAULTS, FaultKind, FaultPlan
from local.production.world import Worker

_LIMIT_S = 120.0
_FLAPS = 5
_CRASHES = 3
_TOO_FEW = 3
"""How many accounts a connector may own that is to be full."""
_MORE_THAN_ARE_TOLD_OF = 12


# Connectors


def _serve(workers: Sequence[Worker]) -> None:
    for worker in workers:
        until(lambda: ports.answers(worker.ports.connector), "a connector serves", _LIMIT_S)  # noqa: B023 - called at once


def _start(case: Case, workers: Sequence[Worker], **environment: str) -> None:
    """What is left of them is ended, in the manner of a deployment; then they are started, with these settings beside theirs."""
    for worker in workers:
        case.ground.crew.ask_to_end(worker)
    for worker in workers:
        case.ground.crew.restart(replace(worker, environment={**worker.environment, **environment}))
    _serve(workers)


def _owner(case: Case, account: Account | None = None) -> Worker:
    found: list[Worker] = []

    def is_held() -> bool:
        owner = case.ground.crew.owner_of((account or case.account).account_id)
        if owner is not None:
            found.append(owner)
        return owner is not None

    until(is_held, "the account has an owner", _LIMIT_S)
    return found[-1]


def connector_died(case: Case) -> None:
    killed = _owner(case)
    before = case.fields()["assignedWorkerId"]
    case.strike("its connector was killed", lambda: case.ground.crew.kill(killed))
    case.sees(lambda document: document["assignedWorkerId"] not in (None, before), "another owner")
    case.mend("by itself: the other connector took it (from the kill)", lambda: None)
    case.mended_at = case.struck_at
    case.await_fields(status="connected")
    until(lambda: case.is_connected(), "WhatsApp has the session", _LIMIT_S)
    case.line.over_after_s = time.monotonic() - case.mended_at
    _start(case, [killed])
    case.talks()


def engine_crashes(case: Case) -> None:
    def crash() -> None:
        engine = case.ground.crew.engine_of(_owner(case))
        if engine is not None:
            engine.kill()

    case.strike(f"its engine was killed, {_CRASHES} times", crash)
    case.shows(status="reconnecting", disconnectReason="engine_failed", lastError="engine_failed...")
    for _ in range(_CRASHES - 1):
        case.await_fields(status="connected")
        since = time.monotonic()
        crash()
        case.ground.watch.await_account(
            case.name,
            lambda document: document["status"] == "reconnecting",
            "it is told",
            since=since,
            limit_s=_LIMIT_S,
        )
    case.mend("by itself, from the last crash on", lambda: None)
    case.is_over(status="connected", disconnectReason=None)
    case.talks()


def connectors_full(case: Case) -> None:
    """One of two is killed, and the other may own three of the six accounts."""
    left, killed = case.ground.world.workers
    _start(case, [left], MAX_ACCOUNTS=str(_TOO_FEW))
    for account in case.people.accounts:
        until(lambda: case.ground.crew.owner_of(account.account_id) in (left, killed), "owners", _LIMIT_S)  # noqa: B023 - called at once
    case.strike(
        f"a connector was killed, and the other may own {_TOO_FEW} of {len(case.people.accounts)}",
        lambda: case.ground.crew.kill(killed),
    )
    case.alerts(limit_s=_LIMIT_S)
    case.is_about_one_that_is_told_of()
    case.stands()
    case.screens("accounts", "account", "alerts")
    case.mend("a connector more was started", lambda: _start(case, [killed]))
    case.is_resolved(limit_s=_LIMIT_S)
    _start(case, [left])
    case.await_fields(status="connected")
    case.talks()


def all_down(case: Case) -> None:
    workers = case.ground.world.workers

    def kill() -> None:
        for worker in workers:
            case.ground.crew.kill(worker)

    case.strike("all connectors were killed", kill)
    case.alerts(limit_s=_LIMIT_S)
    case.stands()
    case.screens("accounts", "alerts")
    case.mend("the connectors were started", lambda: _start(case, workers))
    case.is_resolved(limit_s=_LIMIT_S)
    case.await_fields(status="connected")
    case.talks()


def lease_flapping(case: Case) -> None:
    def flap() -> None:
        for _ in range(_FLAPS):
            killed = _owner(case)
            _serve(case.ground.world.workers)
            case.ground.crew.kill(killed)
            until(lambda: case.ground.crew.owner_of(case.account.account_id) not in (None, killed), "another", _LIMIT_S)  # noqa: B023 - called at once
            case.ground.crew.restart(killed)

    case.strike(f"its owner was killed, {_FLAPS} times one after the other", flap)
    case.alerts(limit_s=_LIMIT_S)
    case.await_fields(status="connected", limit_s=_LIMIT_S)
    case.stands()
    case.screens("account", "alerts")
    case.mend("by itself, when it had rested for ten minutes (scaled)", lambda: None)
    case.is_resolved(limit_s=case.ground.timing.lease_ttl_s * 25 + _LIMIT_S)
    case.talks()


def connector_refused(case: Case) -> None:
    case.await_row(case.write_in("known"))
    workers, asked = case.ground.world.workers, list[Request]()
    wrong = {"FUNCTIONS_SERVICE_ACCOUNT": "somebody-else@demo-threadline.iam.gserviceaccount.com"}
    _start(case, workers, **wrong)
    case.await_fields(status="connected")
    case.strike("connectors were deployed with another FUNCTIONS_SERVICE_ACCOUNT", lambda: asked.append(case.ask()))
    case.alerts(limit_s=_LIMIT_S)
    case.stands()
    case.screens("account", "queue")
    case.mend("they were deployed with the functions'", lambda: _start(case, workers))
    case.await_request(asked[0], limit_s=_LIMIT_S, status="sent")
    case.is_resolved(limit_s=_LIMIT_S)
    case.talks()


# What the product calls


def stuck_outbox(case: Case) -> None:
    tasks, asked = case.ground.world.tasks, list[Request]()
    case.await_row(case.write_in("known"))
    tasks.pause()
    try:
        case.strike("the queue in Cloud Tasks was paused", lambda: asked.append(case.ask()))
        case.alerts(limit_s=400.0)
        case.stands()
        case.screens("account", "queue", "alerts")
    finally:
        case.mend("the queue was resumed", tasks.resume)
    case.await_request(asked[0], limit_s=_LIMIT_S, status="sent")
    case.is_resolved(limit_s=_LIMIT_S)
    case.talks()


def sweeper_stopped(case: Case) -> None:
    ground, asked = case.ground, list[Request]()
    case.await_row(case.write_in("known"))
    ground.world.processes.stop(ground.scheduler)
    ground.world.cloud.strike(FaultPlan(rates={FaultKind.NEVER: 1.0}))
    case.strike(
        "its job in Cloud Scheduler was stopped, and a message's trigger was lost", lambda: asked.append(case.ask())
    )
    time.sleep(ground.timing.sweep_age_s * 3)  # in which it would have been taken up
    case.expect(case.request(asked[0])["status"] == "queued", "nobody but the sweeper takes the message up")
    case.stands()
    case.screens("queue")
    ground.world.cloud.strike(NO_FAULTS)

    def start() -> None:
        ground.scheduler = production.start_scheduler(ground.world, interval_s=60.0, time_scale=ground.time_scale)
        case.await_request(asked[0], limit_s=_LIMIT_S, status="sent")

    case.mend("the job was started", start)
    case.line.over_after_s = time.monotonic() - case.mended_at
    case.talks()


def firestore_gone(case: Case) -> None:
    gate = case.ground.world.firestore_gate
    assert gate is not None
    case.strike("Firestore answered nobody", lambda: gate.strike(FaultPlan(rates={FaultKind.FIRESTORE_HANGS: 1.0})))
    try:
        closed = until(lambda: not case.is_connected(), "the session is closed", _LIMIT_S)
        case.line.shown_after_s = closed - case.struck_at
        case.stands()
        case.line.account += " (nobody can write it); the session is closed"
        key = case.write_in("meanwhile")
        time.sleep(case.ground.timing.lease_ttl_s)  # past all leases
    finally:
        case.mend("Firestore answered again", lambda: gate.strike(NO_FAULTS))
    back = until(case.is_connected, "WhatsApp has the session", _LIMIT_S)
    case.line.over_after_s = back - case.mended_at
    case.await_fields(status="connected")
    case.await_row(key)
    case.talks()


def store_gone(case: Case) -> None:
    """The account is opened anew while the sessions' database is down: one that is at work shows nothing until an event comes."""
    store, processes = case.ground.store, case.ground.world.processes
    assert store is not None
    case.strike("PostgreSQL was stopped", lambda: processes.stop(store.child))
    with suppress(Exception):
        case.write_in("meanwhile")
    try:
        case.sees(lambda document: document["status"] == "reconnecting", "it is told")
        case.screens("account")
    finally:
        case.mend("PostgreSQL was started", lambda: postgres.start_again(processes, store))
    case.is_over(status="connected", limit_s=_LIMIT_S)
    case.talks()


def whatsapp_gone(case: Case) -> None:
    def each(do: Callable[[str], None]) -> None:
        for account in case.people.accounts:
            do(account.phone)

    network = case.ground.network
    case.strike("WhatsApp ended all streams and refused all logins (503)", lambda: each(network.disconnect))
    case.sees(
        lambda document: document.get("disconnectReason") in ("stream_error_503", "connect_failure_503"), "it is told"
    )
    case.mend("WhatsApp let them in again", lambda: each(network.reconnect))
    case.is_over(status="connected", disconnectReason=None)
    for account in case.people.accounts:
        until(lambda: case.ground.stage.is_connected(account), "all are back", _LIMIT_S)  # noqa: B023 - called at once
    case.talks()


def store_behind(case: Case) -> None:
    """The last of all: from here on engines keep their sessions in the restored database."""
    ground, store = case.ground, case.ground.store
    assert store is not None
    case.await_row(case.write_in("before the backup"))
    folder = ground.world.processes.folder
    public = _engine(store.dsn, "new-key", "--file", folder / "key")
    _engine(store.dsn, "backup", "--file", folder / "backup", "--recipient", public)
    case.talks()
    for worker in ground.world.workers:
        ground.crew.ask_to_end(worker)
    restored = store.create("restored")
    _engine(restored, "restore", "--file", folder / "backup", "--identity", folder / "key")
    case.strike(
        "a backup from before its last messages was restored",
        lambda: _start(case, ground.world.workers, ENGINE_STORE=restored),
    )
    case.shows(status="needs_qr", disconnectReason="store_behind", lastError="store_behind...")
    case.alerts()
    case.screens("account", "alerts")
    ground.network.log_out(case.account.phone)  # the old device is removed on the phone
    case.mend("the old device was removed on the phone, `pair ACCOUNT`", case.pair)
    case.is_over(status="connected")
    case.talks()


def _engine(store: str, *arguments: object) -> str:
    """A command of the engine's own; what it says."""
    done = subprocess.run(
        [RELEASE_ENGINE, *map(str, arguments)],
        env={"ENGINE_STORE": store},
        capture_output=True,
        text=True,
        check=True,
        timeout=_LIMIT_S,
    )
    return done.stdout.strip()


def _last(
    name: str,
    cause: str,
    run: Callable[[Case], None],
    alert: Condition | ErrorCode | None = None,
    *,
    accounts: int = 1,
    of_all: bool = False,
) -> Drill:
    return Drill(name=name, cause=cause, run=run, alert=alert, accounts=accounts, of_all=of_all, at_the_end=True)


DRILLS = (
    _last("stuck_outbox", "its messages stand still", stuck_outbox, Condition.STUCK_OUTBOX),
    _last("engine_crashes", "the engine crashes", engine_crashes),
    _last("connector_died", "a connector died", connector_died),
    _last("connectors_full", "all connectors are full", connectors_full, Condition.NO_OWNER, accounts=2 * _TOO_FEW),
    _last(
        "all_down",
        "all connectors are down",
        all_down,
        Condition.NO_OWNER,
        accounts=_MORE_THAN_ARE_TOLD_OF,
        of_all=True,
    ),
    _last(
        "connector_refused",
        "functions and connector do not fit: the token",
        connector_refused,
        ErrorCode.CONNECTOR_REFUSED,
    ),
    _last("firestore_gone", "Firestore is out of reach", firestore_gone),
    _last("store_gone", "the session store (PostgreSQL) is out of reach", store_gone),
    _last("whatsapp_gone", "WhatsApp is out of reach", whatsapp_gone, accounts=3),
    _last("sweeper_stopped", "the sweeper does not run", sweeper_stopped),
    _last("lease_flapping", "it goes from hand to hand", lease_flapping, Condition.LEASE_FLAPPING),
    _last("store_behind", "the session store is older than the session", store_behind, ErrorCode.STORE_BEHIND),
)
