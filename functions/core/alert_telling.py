"""What somebody outside is told of an alert: never a number, a text, or the path of a document that could hold one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.alert import Change, last_at
from core.alert_types import ALERTS, known
from core.errors import Severity
from core.ids import InvalidId, account_id

_UNKNOWN = "unknown"
_LOOK = "Look at the alert's document in whatsapp_alerts: these functions are older than whoever wrote it."


@dataclass(frozen=True, kw_only=True)
class Told:
    """`alert_type` is `unknown` for one that these functions do not know; `alert_id` names the document."""

    change: Change
    alert_id: str
    alert_type: str
    severity: Severity
    account_id: str | None
    meaning: str
    what_to_do: str
    count: int
    created_at: datetime | None
    """When it happened first."""
    at: datetime | None
    """When it happened last, or was over."""


def told(change: Change, alert_id: str, document: Mapping[str, object]) -> Told:
    """Of the document only what cannot hold more than it should: all words are the catalogue's."""
    alert_type, count = known(document.get("type")), document.get("count")
    entry = ALERTS[alert_type] if alert_type is not None else None
    created_at = document.get("createdAt")
    at = document.get("resolvedAt") if change is Change.RESOLVED else last_at(document)
    return Told(
        change=change,
        alert_id=alert_id,
        alert_type=str(alert_type or _UNKNOWN),
        severity=entry.severity if entry else Severity.ERROR,
        account_id=_account(document.get("accountId")),
        meaning=entry.meaning if entry else "",
        what_to_do=entry.what_to_do if entry else _LOOK,
        count=count if isinstance(count, int) else 1,
        created_at=created_at if isinstance(created_at, datetime) else None,
        at=at if isinstance(at, datetime) else None,
    )


def _account(value: object) -> str | None:
    try:
        return account_id(value)
    except InvalidId:
        return None
