"""A request to hand an account over, which a newer connector at the owner's address writes into the account's lease."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.ids import WorkerId


@dataclass(frozen=True, kw_only=True)
class HandOverRequest:
    """`started_at` is when the requesting worker started, by Firestore's clock: that clock is the same for all workers."""

    worker: WorkerId
    started_at: datetime

    def is_newer_than(self, worker: WorkerId, started_at: datetime) -> bool:
        """A total order of all workers: if two workers ask each other, exactly one of them hands over."""
        return (self.started_at, self.worker) > (started_at, worker)

    def document(self) -> dict[str, object]:
        return {"workerId": self.worker, "startedAt": self.started_at}


def parse_hand_over(value: object) -> HandOverRequest | None:
    """None if the lease has no request, or a malformed one."""
    if not isinstance(value, Mapping):
        return None
    worker, started_at = value.get("workerId"), value.get("startedAt")
    if not isinstance(worker, str) or not worker or not isinstance(started_at, datetime):
        return None
    return HandOverRequest(worker=WorkerId(worker), started_at=started_at)
