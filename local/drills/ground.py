"""What drills play on: the whole product, its people, the command line, and what watches from outside."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from google.cloud.firestore import Client

from core import schema
from core.account import DesiredState
from core.timing import Timing
from local import postgres
from local.chaos.crew import Crew
from local.drills.command_line import CommandLine
from local.drills.watch import NotSeen, Watch
from local.faults.cast import Account
from local.faults.stage import Stage, StageFailed
from local.network.client import Network
from local.postgres import Postgres
from local.processes import Child, Processes
from local.production import world as production
from local.production.world import World
from local.whatsapp import NetworkKind

_SWEEP_INTERVAL_S = 60.0
_PING_MS = "1500"
_PAIRED_WITHIN_S = 120.0
_AT_ONCE = 4
_POLL_S = 0.05


@dataclass(kw_only=True)
class Ground:
    world: World
    db: Client
    stage: Stage
    crew: Crew
    watch: Watch
    admin: CommandLine
    timing: Timing
    """Scaled."""
    time_scale: float
    scheduler: Child
    store: Postgres | None
    """The engines'. None: a SQLite file."""

    @property
    def network(self) -> Network:
        return self.world.network

    def prepare(self, accounts: Sequence[Account]) -> None:
        """Returns when all of them are paired and connected. Raises StageFailed."""
        with ThreadPoolExecutor(_AT_ONCE) as pairing:
            paired = list(pairing.map(self._pair, accounts))
        if not all(paired):
            raise StageFailed(f"an account was not connected within {_PAIRED_WITHIN_S:.0f} s")

    def _pair(self, account: Account) -> bool:
        self.stage.ask_for_pairing(account)
        return self.stage.pair(account, _PAIRED_WITHIN_S)

    def want(self, accounts: Sequence[Account], state: DesiredState) -> None:
        """As `pause` and `resume` do. Returns when the accounts are so."""
        is_wanted = state is DesiredState.CONNECTED
        for account in accounts:
            self.db.collection(schema.ACCOUNTS).document(account.account_id).update({"desiredState": state.value})
            lease = {"wanted": is_wanted, "updatedAt": datetime.now(UTC)}
            self.db.collection(schema.LEASES).document(account.account_id).update(lease)
        since = time.monotonic()
        wanted = "connected" if is_wanted else "disconnected"
        for account in accounts:
            self.watch.await_account(
                account.account_id,
                lambda document: document.get("status") == wanted,
                f"{account.account_id} is {wanted}",
                since=since,
                limit_s=_PAIRED_WITHIN_S,
            )


def until(found: Callable[[], object], what: str, limit_s: float) -> float:
    """The moment at which it was so. Raises NotSeen."""
    deadline = time.monotonic() + limit_s
    while not found():
        if time.monotonic() > deadline:
            raise NotSeen(f"not within {limit_s:.0f} s: {what}")
        time.sleep(_POLL_S)
    return time.monotonic()


@contextmanager
def running(processes: Processes, *, time_scale: float, connectors: int, on_sqlite: bool) -> Iterator[Ground]:
    """Raises StartFailed."""
    with ExitStack() as stack:
        store = None if on_sqlite else stack.enter_context(postgres.running(processes))
        world = production.start(
            processes,
            time_scale=time_scale,
            workers=connectors,
            network=NetworkKind.REAL,
            engine_store=None if store is None else store.dsn,
            connector_environment={"WIRE_PING_MS": _PING_MS, "ANNOUNCED_GAPS": "on"},
        )
        scheduler = production.start_scheduler(world, interval_s=_SWEEP_INTERVAL_S, time_scale=time_scale)
        db = stack.enter_context(closing(world.client()))
        watch = Watch(db=db)
        stack.callback(watch.close)
        watch.begin()
        yield Ground(
            world=world,
            db=db,
            stage=Stage(db=db, network=world.network),
            crew=Crew(world=world, db=db),
            watch=watch,
            admin=CommandLine(firestore=world.firestore),
            timing=Timing().scaled(time_scale),
            time_scale=time_scale,
            scheduler=scheduler,
            store=store,
        )
