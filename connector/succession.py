"""What this worker knows about other instances at its own address: who has asked for its accounts, and which accounts it has asked for.

During a rollout Cloud Run has two instances of a shard under one address, and sends new calls to the newer one alone.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connector import log
from core.account import Lease
from core.hand_over import HandOverRequest
from core.ids import AccountId, WorkerId
from core.timing import Timing

_LAST_RESORT_TTLS = 3
"""A worker that was asked to hand over claims accounts that have been free for this many lease times (72 s). By then a newer worker has
opened 500 accounts. If an account is still free, the newer worker has died or is full, or the deployment was rolled back."""


@dataclass(kw_only=True)
class Succession:
    worker: WorkerId
    timing: Timing
    started_at: datetime | None = field(default=None, init=False)
    """When this worker started, by Firestore's clock. None until Firestore has answered; until then this worker yields to nobody."""
    _newest: HandOverRequest | None = field(default=None, init=False)
    """The request of the newest instance that has asked this one to hand over."""
    _asked_until_s: float = field(default=0.0, init=False)
    """Until when (monotonic) further requests are likely: a lease's time after the last one."""
    _awaited: dict[AccountId, float] = field(default_factory=dict, init=False)
    """Accounts that this worker has asked for and not claimed yet, with the monotonic time at which it stops waiting for each."""

    # As the older instance

    @property
    def successor(self) -> WorkerId | None:
        """Who has asked this worker to hand over. From then on, this worker leaves free accounts to others."""
        return None if self._newest is None else self._newest.worker

    def yields_to(self, request: HandOverRequest) -> bool:
        """Whether the request comes from a newer instance, so that this worker must hand over."""
        if self.started_at is None or not request.is_newer_than(self.worker, self.started_at):
            return False
        self._asked_until_s = time.monotonic() + self.timing.lease_ttl_s
        if self._newest is None or request.is_newer_than(self._newest.worker, self._newest.started_at):
            self._newest = request
            log.succeeded(request.worker)
        return True

    def was_asked_lately(self) -> bool:
        """Whether further requests are likely. A newer instance that is full, or has died, asks for nothing more."""
        return time.monotonic() < self._asked_until_s

    def may_claim(self, lease: Lease) -> bool:
        """Whether this worker may claim an account whose lease is free."""
        waits_s = self._waits_s(lease)
        return waits_s == 0 or datetime.now(UTC) >= lease.free_since() + timedelta(seconds=waits_s)

    def _waits_s(self, lease: Lease) -> float:
        if self.successor is not None:
            return self.timing.lease_ttl_s * _LAST_RESORT_TTLS
        if lease.hand_over_to is not None and lease.hand_over_to.worker != self.worker:
            return self.timing.lease_ttl_s  # the worker that asked for the account comes first, unless it has died
        return 0.0

    # As the newer instance

    def request(self) -> HandOverRequest | None:
        """The request that this worker writes into a lease. None if it must not ask: it does not know when it started, or was asked to hand over itself."""
        if self.started_at is None or self.successor is not None:
            return None
        return HandOverRequest(worker=self.worker, started_at=self.started_at)

    def expect(self, account: AccountId) -> None:
        """Notes that the account was asked for. The worker waits for one lease time: after that a dead owner's lease has run out."""
        self._awaited[account] = time.monotonic() + self.timing.lease_ttl_s

    def expects(self, account: AccountId) -> bool:
        return account in self._awaited

    def expected(self) -> int:
        """How many accounts were asked for and are not claimed yet."""
        now = time.monotonic()
        self._awaited = {account: until for account, until in self._awaited.items() if until > now}
        return len(self._awaited)

    def claimed(self, account: AccountId) -> None:
        self._awaited.pop(account, None)
