"""Who holds an account's session, and whether a message may be handed over: read from the lease."""

import threading
import time
from dataclasses import dataclass

from backend.clock import now
from backend.stores import Stores
from core.errors import ErrorCode
from core.ids import AccountId
from core.outbox import Outcome, SendResult
from core.timing import Timing


@dataclass(frozen=True, kw_only=True)
class Owner:
    """One term of one worker: whoever claims the account next is another, at the same address too."""

    endpoint: str
    epoch: int | None


class UnknownAccount(Exception):
    """There is no lease document: nobody will ever hold this account."""


class NobodyReady(Exception):
    """Messages wait; `code` is why."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(str(code))
        self.code = code


class Owners:
    """A yes may be two seconds old, a no is always read afresh: a flush must not meet a stale one. Thread-safe."""

    def __init__(self, stores: Stores, timing: Timing, allowed: frozenset[str]) -> None:
        self._stores = stores
        self._timing = timing
        self._allowed = allowed
        self._known: dict[AccountId, tuple[float, Owner]] = {}
        self._lock = threading.Lock()

    def ready(self, account: AccountId) -> Owner:
        """Raises UnknownAccount and NobodyReady."""
        with self._lock:
            known = self._known.get(account)
        if known is not None and time.monotonic() - known[0] < self._timing.positive_lease_cache_s:
            return known[1]
        read_at = time.monotonic()
        stored = self._stores.lease(account)
        if stored is None:
            raise UnknownAccount
        lease = stored.value
        if not lease.wanted or not lease.is_held(now()) or lease.endpoint is None:
            self.forget(account)
            raise NobodyReady(ErrorCode.NOT_CONNECTED)
        if lease.endpoint not in self._allowed:
            self.forget(account)
            raise NobodyReady(ErrorCode.ENDPOINT_NOT_ALLOWED)
        owner = Owner(endpoint=lease.endpoint, epoch=lease.epoch)
        with self._lock:
            self._known[account] = (read_at, owner)
        return owner

    def forget(self, account: AccountId) -> None:
        with self._lock:
            self._known.pop(account, None)

    def ready_after(self, account: AccountId, answer: SendResult) -> Owner | None:
        """After the owner's no, read afresh: who might say yes by now, so that no wake-up is lost. None: nobody does before a
        session opens."""
        self.forget(account)
        if answer.outcome is Outcome.NOT_CONNECTED and not self._stores.is_connected(account):
            return None
        try:
            return self.ready(account)
        except (NobodyReady, UnknownAccount):
            return None
