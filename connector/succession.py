"""What this worker knows of other instances at its own address: who has asked for its accounts, and which ones it has asked for.

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
"""A worker that was asked to hand over claims what has been free for this long. 72 s: a newer one that opens 500 accounts is done
by then. Nobody else wants the account: the newer one has died or is full, or the deployment was taken back."""


@dataclass(kw_only=True)
class Succession:
    worker: WorkerId
    timing: Timing
    started_at: datetime | None = field(default=None, init=False)
    """When this worker started, by Firestore's clock. None until Firestore has answered: every other worker is older then."""
    _newest: HandOverRequest | None = field(default=None, init=False)
    """Of the newest instance that has asked this one to hand over."""
    _asked_until_s: float = field(default=0.0, init=False)
    """Until when (monotonic) further requests are likely: a lease's time after the last one."""
    _awaited: dict[AccountId, float] = field(default_factory=dict, init=False)
    """Accounts that were asked for and are not claimed yet, with the time (monotonic) at which they are awaited no longer."""

    # As the older instance

    @property
    def successor(self) -> WorkerId | None:
        """Who has asked this worker to hand over. From then on, this worker leaves free accounts to others."""
        return None if self._newest is None else self._newest.worker

    def yields_to(self, request: HandOverRequest) -> bool:
        """Whether the request comes from a newer instance, which is to be heeded."""
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
        """Of a lease that is free."""
        waits_s = self._waits_s(lease)
        return waits_s == 0 or datetime.now(UTC) >= lease.free_since() + timedelta(seconds=waits_s)

    def _waits_s(self, lease: Lease) -> float:
        if self.successor is not None:
            return self.timing.lease_ttl_s * _LAST_RESORT_TTLS
        if lease.hand_over_to is not None and lease.hand_over_to.worker != self.worker:
            return self.timing.lease_ttl_s  # the worker that asked for it comes first, unless it has died meanwhile
        return 0.0

    # As the newer instance

    def request(self) -> HandOverRequest | None:
        """What this worker writes into a lease; None where it may not ask: it does not know when it started, or was asked itself."""
        if self.started_at is None or self.successor is not None:
            return None
        return HandOverRequest(worker=self.worker, started_at=self.started_at)

    def expect(self, account: AccountId) -> None:
        """The account was asked for. It is awaited for a lease's time: a dead owner's lease has run out then."""
        self._awaited[account] = time.monotonic() + self.timing.lease_ttl_s

    def expects(self, account: AccountId) -> bool:
        return account in self._awaited

    def expected(self) -> int:
        """How many accounts are on their way."""
        now = time.monotonic()
        self._awaited = {account: until for account, until in self._awaited.items() if until > now}
        return len(self._awaited)

    def claimed(self, account: AccountId) -> None:
        self._awaited.pop(account, None)
