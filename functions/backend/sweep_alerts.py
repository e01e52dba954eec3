"""The sweep of alerts: raises what only a look at many documents shows, and closes what is over."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from backend import queries
from backend.clock import now
from backend.steps import Steps
from backend.stores import Conflict, Document, Stored, Stores
from backend.sweep_owners import SweptOwners
from backend.sweep_requests import LateHead
from core import alert_types, schema, stuck
from core.account import NEVER, Lease, Status, flapping_window_s
from core.alert import Alert, is_open, last_at, resolved_fields
from core.alert_types import ALERTS, MOST_WITHOUT_OWNER, Condition, End
from core.degradation import Cause, parse_degradation
from core.ids import AccountId, RequestId
from core.timing import Timing

_MOST = 500
_FRONT = 50
_ALL_ACCOUNTS = "all"
_MESSAGES = {
    Condition.NO_OWNER: "No connector holds the account, which should be connected.",
    Condition.LEASE_FLAPPING: "The account goes from connector to connector.",
    Condition.STUCK_OUTBOX: "The account is connected, and its messages stand still.",
    Condition.BACKLOG_GROWING: "Events of the account wait in the ingest log.",
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What this run saw that may be worth an alert."""

    owners: SweptOwners
    late_accounts: frozenset[AccountId]
    """With a row that waited for too long before this run."""
    late_heads: dict[AccountId, LateHead]


@dataclass(frozen=True, kw_only=True)
class AlertSweep:
    stores: Stores
    timing: Timing

    def raise_seen(self, steps: Steps, seen: Seen, at: datetime) -> int:
        """How many were opened. One that is open already is not counted again: it is the same minute after minute."""
        opened = sum(steps.result("raise", partial(self._open, alert, at)) or 0 for alert in _of_owners(seen.owners))
        for account in sorted(seen.late_accounts):
            opened += steps.result("backlog", partial(self._open_backlog, account, at)) or 0
        candidates = {
            account: late
            for account, late in sorted(seen.late_heads.items())
            if steps.result("stuck", partial(self._may_be_stuck, account))
        }
        if candidates:
            time.sleep(self.timing.stuck_confirm_s)  # this run has enqueued a job for each of them
        for account, late in candidates.items():
            opened += steps.result("stuck", partial(self._open_stuck, account, late, at)) or 0
        return opened

    def close(self, steps: Steps, seen: Seen, at: datetime) -> int:
        """How many are over. Those that a person decides about, or a row, are closed where that is done."""
        types = sorted(alert_types.ending(End.CONNECTED, End.SENT, End.QUIET, End.OVER, End.HEALED))
        found = self.stores.find(queries.open_alerts_of_types(self.stores.db, types, _MOST))
        return sum(steps.result("close", partial(self._close, alert, seen, at)) or 0 for alert in found)

    def _open(self, alert: Alert, at: datetime) -> int:
        if self._is_open(alert):
            return 0
        commit = self.stores.commit()
        commit.raise_alert(alert, at)
        commit.run()
        return 1

    def _is_open(self, alert: Alert) -> bool:
        standing = self.stores.alert(alert.alert_id)
        return standing is not None and is_open(standing.value)

    def _open_backlog(self, account: AccountId, at: datetime) -> int:
        """What this run has taken up waits no more."""
        return self._open(_of_account(Condition.BACKLOG_GROWING, account), at) if self._has_backlog(account, at) else 0

    def _may_be_stuck(self, account: AccountId) -> bool:
        alert = _of_account(Condition.STUCK_OUTBOX, account)
        return self.stores.is_connected(account) and not self._is_open(alert)

    def _open_stuck(self, account: AccountId, late: LateHead, at: datetime) -> int:
        """Stands as it stood before a job was enqueued for it, or has been given back before in this term, and again."""
        current, lease, later = self.stores.request(RequestId(late.head.id)), self.stores.lease(account), now()
        if current is None or lease is None or not _is_owned(lease.value, later):
            return 0
        if not stuck.is_left_alone(current.value, later, self.timing):
            return 0
        is_untouched = current.update_time == late.head.update_time
        if not is_untouched and not stuck.is_denied_by_a_living_owner(late.head.value, late.lease, self.timing):
            return 0
        if lease.value.epoch != late.lease.epoch or not self.stores.is_connected(account):
            return 0  # whoever connects it wakes its threads
        return self._open(_of_account(Condition.STUCK_OUTBOX, account), at)

    def _close(self, alert: Stored[Document], seen: Seen, at: datetime) -> int:
        """Of the alert as it was read: one that was raised again meanwhile stays open."""
        if not self._is_over(alert.value, seen, at):
            return 0
        commit = self.stores.commit()
        commit.update(schema.ALERTS, alert.id, resolved_fields(at), at=alert.update_time)
        with suppress(Conflict):
            commit.run()
            return 1
        return 0

    def _is_over(self, alert: Document, seen: Seen, at: datetime) -> bool:
        alert_type, account, raised_at = alert_types.known(alert["type"]), alert["accountId"], last_at(alert) or NEVER
        if alert_type is None:
            return False
        match ALERTS[alert_type].end:
            case End.QUIET:
                return bool(at - raised_at > timedelta(seconds=self.timing.alert_quiet_s))
            case End.CONNECTED:
                standing = self.stores.account(AccountId(account))
                return standing is None or standing.value.get("status") == Status.CONNECTED
            case End.HEALED:
                standing = self.stores.account(AccountId(account))
                # With the fields that told of it; the alert itself comes after them.
                return standing is None or not parse_degradation(standing.value).stands(Cause(alert_type))
            case End.SENT:
                return bool(
                    self.stores.find(queries.requests_sent_since(self.stores.db, AccountId(account), raised_at))
                )
            case End.OVER if account is None:
                return len(seen.owners.left) <= MOST_WITHOUT_OWNER
            case End.OVER:
                assert isinstance(alert_type, Condition)
                return self._has_passed(alert_type, AccountId(account), seen, at)
            case End.DECIDED | End.REPLAYED:
                return False
            case unexpected:
                assert_never(unexpected)

    def _has_passed(self, condition: Condition, account: AccountId, seen: Seen, at: datetime) -> bool:
        if condition is Condition.BACKLOG_GROWING:
            return not self._has_backlog(account, at)
        stored = self.stores.lease(account)
        if stored is None:
            return True
        lease = stored.value
        match condition:
            case Condition.NO_OWNER:
                return not lease.wanted or lease.is_held(at)
            case Condition.LEASE_FLAPPING:
                window = timedelta(seconds=flapping_window_s(self.timing.lease_ttl_s))
                return lease.flapped_at is None or lease.flapped_at < at - window
            case Condition.STUCK_OUTBOX:
                late = seen.late_heads.get(account)
                return not (
                    _is_owned(lease, at) and self.stores.is_connected(account) and self._has_stuck(account, late, at)
                )
            case (
                Condition.DEAF
                | Condition.GAP
                | Condition.COLD_LOCKED
                | Condition.PHONE_NOT_SEEN
                | Condition.UNSUPPORTED_KIND
            ):
                return False  # its end is another
            case unexpected:
                assert_never(unexpected)

    def _has_backlog(self, account: AccountId, at: datetime) -> bool:
        """Messages: a receipt that is old may only wait for its message."""
        query = queries.unprocessed_rows_of_account_from(self.stores.db, account, NEVER, _FRONT)
        limit = timedelta(seconds=self.timing.backlog_after_s)
        messages = (row for row in self.stores.find(query) if row.value.get("eventType") == "message")
        return any(at - row.value["receivedAt"] > limit for row in messages)

    def _has_stuck(self, account: AccountId, late: LateHead | None, at: datetime) -> bool:
        """Whether the head that was seen to be late stands still yet, or else one of the account's oldest."""
        current = self.stores.request(RequestId(late.head.id)) if late is not None else None
        if current is not None and stuck.stands_still(current.value, at, self.timing):
            return True
        heads: dict[object, Document] = {}
        for request in self.stores.find(queries.waiting_requests_of_account(self.stores.db, account, _FRONT)):
            heads.setdefault(request.value.get("threadId"), request.value)
        return any(stuck.stands_still(head, at, self.timing) for head in heads.values())


def _is_owned(lease: Lease, at: datetime) -> bool:
    """What is on its way to another owner waits for that."""
    return lease.wanted and lease.is_held(at)


def _of_owners(owners: SweptOwners) -> Iterator[Alert]:
    """When all connectors are down, nobody needs to be told of each account."""
    if len(owners.left) > MOST_WITHOUT_OWNER:
        message = f"No connector holds more than {MOST_WITHOUT_OWNER} accounts that should be connected."
        yield Alert(code=Condition.NO_OWNER, cause=_ALL_ACCOUNTS, message=message)
    else:
        yield from (_of_account(Condition.NO_OWNER, account) for account in owners.left)
    yield from (_of_account(Condition.LEASE_FLAPPING, account) for account in owners.flapping)


def _of_account(condition: Condition, account: AccountId) -> Alert:
    return Alert(
        code=condition,
        cause=account,
        account_id=account,
        message=_MESSAGES[condition],
        about=f"{schema.LEASES}/{account}",
    )
