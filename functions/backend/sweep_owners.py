"""The sweep of accounts that a connector should hold and none does: a shard is poked, and after a while somebody is told."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from backend import queries
from backend.connector_client import ConnectorClient
from backend.steps import Steps
from backend.stores import Stores
from core.account import flapping_window_s, parse_lease
from core.alert_types import MOST_WITHOUT_OWNER
from core.ids import AccountId
from core.timing import Timing

_MOST = 50
_MOST_POKES = 10
"""A connector looks for free leases by itself every few seconds; a poke only makes up for a look that it missed."""


@dataclass(kw_only=True)
class SweptOwners:
    poked: int = 0
    left: list[AccountId] = field(default_factory=list)
    """Without an owner for so long that somebody must be told; one more than are told of one by one says enough."""
    flapping: list[AccountId] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class OwnerSweep:
    stores: Stores
    timing: Timing
    connector: ConnectorClient

    def run(self, steps: Steps, at: datetime) -> SweptOwners:
        swept = SweptOwners()
        found = self.stores.find(queries.leases_without_owner(self.stores.db, at, _MOST))
        free_since = {AccountId(stored.id): parse_lease(stored.value).free_since() for stored in found}
        silent: set[str] = set()  # a shard that hangs takes a call's whole time: once a run, not once an account
        a_moment_ago = at - timedelta(seconds=self.timing.lease_ttl_s)
        for account in [account for account, since in free_since.items() if since < a_moment_ago][:_MOST_POKES]:
            if not steps.result("poke", partial(self.connector.poke, None, account, silent)):
                break  # no shard answers: it will not for the next account either
            swept.poked += 1
        limit = at - timedelta(seconds=self.timing.no_owner_after_s)
        swept.left = [account for account, since in free_since.items() if since < limit][: MOST_WITHOUT_OWNER + 1]
        window = timedelta(seconds=flapping_window_s(self.timing.lease_ttl_s))
        flapped = self.stores.find(queries.leases_that_flapped(self.stores.db, at - window, _MOST))
        swept.flapping = [AccountId(stored.id) for stored in flapped]
        return swept
