"""The sweep of pauses: an owner tells of its account's; where it has died before it could, that is told here."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from backend import log, queries
from backend.steps import Steps
from backend.stores import Conflict, Document, Stored, Stores
from core import account, schema
from core.ids import AccountId

_MOST = 50


@dataclass(frozen=True, kw_only=True)
class PauseSweep:
    stores: Stores

    def run(self, steps: Steps, at: datetime) -> int:
        """How many were told."""
        found = self.stores.find(queries.paused_leases_of_dead_owners(self.stores.db, at, _MOST))
        return sum(steps.result("pause", partial(self._tell, stored, at)) or 0 for stored in found)

    def _tell(self, stored: Stored[Document], at: datetime) -> int:
        """And the lease is given back, as its owner would have. One that is wanted again meanwhile has moved, and the commit fails."""
        account_id = AccountId(stored.id)
        commit = self.stores.commit()
        commit.update(schema.LEASES, account_id, account.release_fields(at), at=stored.update_time)
        commit.change(schema.ACCOUNTS, account_id, account.unowned_pause_fields())
        commit.put(self.stores.private_state(account_id), account.NO_CODES)
        with suppress(Conflict):
            commit.run()
            log.pause_told(account_id)
            return 1
        return 0
