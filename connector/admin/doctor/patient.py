"""The deployment that is examined, with everything that checks can read of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from connector.admin.context import Context, Stored, now
from connector.admin.doctor.canary_row import RowCanary
from connector.admin.doctor.report import Report
from core import schema
from core.account import Lease, parse_lease

if TYPE_CHECKING:
    from connector.admin.doctor.cloud.project import CloudProject


@dataclass(frozen=True, kw_only=True)
class OwnedLease:
    account: str
    lease: Lease


@dataclass(frozen=True)
class Patient:
    context: Context
    canary: RowCanary
    wait_s: float
    cloud_project: "CloudProject | None" = None
    why_no_cloud: str = ""

    @property
    def cloud(self) -> "CloudProject":
        """Of checks that need it alone."""
        assert self.cloud_project is not None
        return self.cloud_project

    @property
    def report(self) -> Report:
        """Of checks that need it alone."""
        assert self.canary.report is not None
        return self.canary.report

    @cached_property
    def owned_leases(self) -> list[OwnedLease]:
        """The leases that a connector holds now, by account."""
        at = now()
        parsed = [(found.id, _lease(found)) for found in self.context.find(self.context.db.collection(schema.LEASES))]
        return [
            OwnedLease(account=account, lease=lease)
            for account, lease in sorted(parsed, key=_first)
            if lease.is_held(at)
        ]


def _lease(stored: Stored) -> Lease:
    return parse_lease(stored.document)


def _first(pair: tuple[str, Lease]) -> str:
    return pair[0]
