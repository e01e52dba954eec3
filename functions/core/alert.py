"""Alerts: one document a cause, under an id that follows from the cause; open until the cause has ended, and open again when it is back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.alert_types import ALERTS, AlertType
from core.ids import AccountId, ThreadId, short_hash

RETENTION_DAYS = 90
"""How long an alert is kept that is over."""


def alert_id(alert_type: AlertType, cause: str) -> str:
    return f"{alert_type}_{short_hash(cause)}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something an operator must act on. `cause` is what makes it the same alert when it happens again."""

    code: AlertType
    cause: str
    message: str
    account_id: AccountId | None = None
    thread_id: ThreadId | None = None
    about: str | None = None
    """The path of the document to look at: alerts are the super-admins' alone, so it may hold a number."""

    @property
    def alert_id(self) -> str:
        return alert_id(self.code, self.cause)

    def document(self, now: datetime) -> dict[str, object]:
        entry = ALERTS.get(self.code)
        if entry is None:
            raise ValueError(f"{self.code} is not a cause for an alert")
        return {
            "type": str(self.code),
            "severity": str(entry.severity),
            "accountId": self.account_id,
            "threadId": self.thread_id,
            "message": self.message,
            "meta": {"whatToDo": entry.what_to_do, "document": self.about},
            "createdAt": now,
            "lastAt": now,
            "count": 1,
            "resolvedAt": None,
            "expireAt": None,
        }

    def again_fields(self, now: datetime) -> dict[str, object]:
        """What a further occurrence changes, beside `count`. The alert is open again; createdAt stays that of the first one."""
        return {"message": self.message, "lastAt": now, "resolvedAt": None, "expireAt": None}


def last_at(document: Mapping[str, object]) -> datetime | None:
    """When it happened last. An alert that an older version raised has only createdAt."""
    at = document.get("lastAt") or document.get("createdAt")
    return at if isinstance(at, datetime) else None


def is_open(document: Mapping[str, object]) -> bool:
    return document.get("resolvedAt") is None


def resolved_fields(now: datetime) -> dict[str, object]:
    """The cause has ended. The document stays for a while: when the cause comes back, it is counted there."""
    return {"resolvedAt": now, "expireAt": now + timedelta(days=RETENTION_DAYS)}


class Change(StrEnum):
    """What somebody is told of an alert. That it happened once more while it was open is none."""

    OPENED = "opened"
    REOPENED = "reopened"
    RESOLVED = "resolved"


def change(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> Change | None:
    """What a write of an alert's document changes for who acts on it; None: nothing, or that there was no such document."""
    if after is None:
        return None
    if before is None:
        return Change.OPENED if is_open(after) else None
    if is_open(before) == is_open(after):
        return None
    return Change.REOPENED if is_open(after) else Change.RESOLVED
