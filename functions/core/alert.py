"""Alerts: one document a cause, under an id that follows from the cause."""

from dataclasses import dataclass
from datetime import datetime

from core.errors import CATALOGUE, ErrorCode
from core.ids import AccountId, ThreadId, short_hash


def alert_id(code: ErrorCode, cause: str) -> str:
    return f"{code}_{short_hash(cause)}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something an operator must act on. `cause` is what makes it the same alert when it happens again."""

    code: ErrorCode
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
        severity = CATALOGUE[self.code].alert
        if severity is None:
            raise ValueError(f"{self.code} is not a cause for an alert")
        return {
            "type": str(self.code),
            "severity": str(severity),
            "accountId": self.account_id,
            "threadId": self.thread_id,
            "message": self.message,
            "meta": {"whatToDo": CATALOGUE[self.code].what_to_do, "document": self.about},
            "createdAt": now,
            "count": 1,
            "resolvedAt": None,
        }

    def again_fields(self, now: datetime) -> dict[str, object]:
        """What a further occurrence changes, beside `count`: it is open again, as of now."""
        return {"message": self.message, "createdAt": now, "resolvedAt": None}
