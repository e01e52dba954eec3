"""What the account's document is told of its session: status, heartbeat, progress, and the alerts that need a person."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore import AsyncClient

from connector import log, metrics
from connector.accounts import AccountDocument
from connector.alerts import raise_alert, resolve_alerts
from connector.engine import EngineFailed
from connector.intake import Progress
from core.account import Status
from core.alert import Alert
from core.alert_types import AlertType, Condition, End, ending
from core.degradation import Cause
from core.errors import ErrorCode, described


@dataclass(kw_only=True)
class Telling:
    """Every write raises TermLost when the account is another worker's by now."""

    db: AsyncClient
    account: AccountDocument
    call_s: float
    status: Status | None = field(default=None, init=False)
    """What this term has told last."""

    async def tell(
        self, status: Status | None, fields: Mapping[str, Any], *, private: Mapping[str, Any] | None = None
    ) -> None:
        """`status` None: what stands goes on."""
        if status is None:
            await self.account.write(fields, private=private)
            return
        self.count_status(status)
        await self.account.write({"status": str(status), **fields}, private=private)
        reason = str(fields.get("lastError") or fields.get("disconnectReason") or "")
        log.status_changed(self.account.term.account, status, reason)
        if status is Status.CONNECTED:
            await self.resolve(*ending(End.CONNECTED))

    def count_status(self, status: Status | None) -> None:
        if self.status is not None:
            metrics.STATUSES.labels(str(self.status)).dec()
        if status is not None:
            metrics.STATUSES.labels(str(status)).inc()
        self.status = status

    async def engine_failed(self, call: str, error: EngineFailed) -> None:
        """A call that a person waits for has failed."""
        log.engine_failed(self.account.term.account, call, error)
        detail = described(ErrorCode.ENGINE_FAILED, f"{call} ended with {error.status}; try again")
        await self.tell(None, {"lastError": detail})

    async def resolve(self, *types: AlertType) -> None:
        """What these alerts were raised for has ended."""
        await resolve_alerts(self.db, self.account.term, types, self.call_s)

    async def alert(self, code: AlertType, detail: str) -> None:
        """The cause is the account alone: an alert's id is a hash without a key, from which a number could be guessed."""
        account = self.account.term.account
        alert = Alert(code=code, cause=account, message=f"{code}: {detail}", account_id=account)
        await raise_alert(self.db, self.account.term, alert, self.call_s)

    async def beat(self, interval_s: float, progress: Progress) -> None:
        """Says that the session is looked after, and how far the ingest log has come, until it is cancelled."""
        told: str | None = None
        told_at: datetime | None = None
        while True:
            await asyncio.sleep(interval_s)
            fields: dict[str, Any] = {"lastSeenAt": datetime.now(UTC), **self.account.phone.due_fields()}
            if (progress.last_synced_key, progress.last_synced_at) != (told, told_at):
                told, told_at = progress.last_synced_key, progress.last_synced_at
                fields |= {"lastEventAt": progress.last_event_at, "lastSyncedAt": told_at, "lastSyncedKey": told}
            is_lock_over = self.account.degradation.stands(Cause.COLD_LOCKED) and not self.account.pacing.is_locked(
                fields["lastSeenAt"]
            )
            if is_lock_over:
                fields |= self._no_cold_lock()
            await self.account.write(fields)
            if is_lock_over:
                await self.resolve(Condition.COLD_LOCKED)

    async def cold_lock_changed(self) -> None:
        """Until when WhatsApp refuses cold messages, or that it does so no more; nothing where the account says so already."""
        pacing, degradation = self.account.pacing, self.account.degradation
        until = pacing.locked_until
        if until is not None and pacing.is_locked(datetime.now(UTC)):
            fields = pacing.lock_fields()
            if fields:
                words = (
                    f"WhatsApp refuses messages to people who have not written (463), until {until:%Y-%m-%d %H:%M} UTC"
                )
                await self.account.write(fields | degradation.begin(Cause.COLD_LOCKED, words))
                await self.alert(Condition.COLD_LOCKED, words)
        elif degradation.stands(Cause.COLD_LOCKED):
            await self.account.write(self._no_cold_lock())
            await self.resolve(Condition.COLD_LOCKED)

    def _no_cold_lock(self) -> dict[str, object]:
        self.account.pacing.unlock()
        return self.account.degradation.end(Cause.COLD_LOCKED) | self.account.pacing.lock_fields()
