"""The sweep of pairing codes: an owner erases its own when they end; those of an owner that is gone are erased here."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from backend import queries
from backend.steps import Steps
from backend.stores import Conflict, Document, Stored, Stores
from core import account, schema
from core.ids import AccountId

_MOST = 200


@dataclass(frozen=True, kw_only=True)
class CodeSweep:
    stores: Stores

    def run(self, steps: Steps, at: datetime) -> int:
        """How many were erased."""
        showing = self.stores.find(queries.accounts_showing_a_code(self.stores.db, _MOST))
        return sum(steps.result("code", partial(self._erase, stored, at)) or 0 for stored in showing)

    def _erase(self, stored: Stored[Document], at: datetime) -> int:
        """One that has expired while nobody owns the account. A claim that comes between moves the account, and the commit fails."""
        lease = self.stores.lease(AccountId(stored.id))
        if lease is not None and lease.value.is_held(at):
            return 0
        private = self.stores.private_state(AccountId(stored.id))
        expires_at = (private.get().to_dict() or {}).get("qrExpiresAt")
        if isinstance(expires_at, datetime) and expires_at > at:
            return 0
        commit = self.stores.commit()
        commit.update(schema.ACCOUNTS, stored.id, account.code_expired_fields(), at=stored.update_time)
        commit.put(private, account.NO_CODES)
        with suppress(Conflict):
            commit.run()
            return 1
        return 0
