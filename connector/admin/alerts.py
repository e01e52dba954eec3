"""`alerts`: what an operator must act on, the oldest first, and what to do about each."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector import queries
from connector.admin.condition import PROGRAM, what_to_do
from connector.admin.context import Context, Document, now
from connector.admin.screen import Column, Row
from connector.admin.times import age
from core import schema
from core.alert import last_at
from core.errors import ErrorCode
from core.ids import AccountId

MOST = 5_000
_COLUMNS = (
    Column(title="SINCE", to_right=True),
    Column(title="LAST", to_right=True),
    Column(title="SEVERITY"),
    Column(title="TYPE"),
    Column(title="ACCOUNT"),
    Column(title="COUNT", to_right=True),
)


@dataclass(frozen=True, kw_only=True)
class OpenAlert:
    alert_id: str
    document: Document

    @property
    def since(self) -> datetime | None:
        """When it was first raised."""
        at = self.document.get("createdAt")
        return at if isinstance(at, datetime) else None

    @property
    def account(self) -> str | None:
        account = self.document.get("accountId")
        return account if isinstance(account, str) else None

    @property
    def about(self) -> str | None:
        """The path of the document to look at, which may hold a number."""
        meta = self.document.get("meta")
        about = meta.get("document") if isinstance(meta, dict) else None
        return about if isinstance(about, str) else None

    @property
    def what_to_do(self) -> str:
        """By this program's catalogue; of a type that it does not know, as the alert itself says."""
        code, meta = self.document.get("type"), self.document.get("meta")
        if code in list(ErrorCode):
            return what_to_do(self.account or "ACCOUNT", ErrorCode(str(code)))
        return str(meta.get("whatToDo") or "") if isinstance(meta, dict) else ""

    def command(self) -> str:
        """The command that deals with the document that it is about."""
        collection, _, document = (self.about or "").partition("/")
        if collection == schema.INGEST and document:
            return f"{PROGRAM} replay '{document}'"
        if collection == schema.OUTBOX and document and self.document.get("type") == ErrorCode.OUTCOME_UNKNOWN:
            return f"{PROGRAM} resolve '{document}'"
        return ""

    def data(self, *, with_documents: bool = True) -> dict[str, Any]:
        fields = {
            "alertId": self.alert_id,
            **{name: self.document.get(name) for name in ("type", "severity", "accountId", "message", "count")},
            "since": self.since,
            "last": last_at(self.document),
            "whatToDo": self.what_to_do,
        }
        if with_documents:
            fields |= {"threadId": self.document.get("threadId"), "document": self.about}
        return fields


def show_open(context: Context, arguments: Namespace) -> None:
    """Documents' paths only where an account is asked for: they may hold a number."""
    account: AccountId | None = arguments.account
    found = open_of(context, account)
    if context.screen.as_json:
        context.screen.data([alert.data(with_documents=account is not None) for alert in found])
    elif found:
        show(context, found, with_documents=account is not None)
    else:
        context.screen.say(f"No alert of {account} is open." if account else "No alert is open.")


def open_of(context: Context, account: AccountId | None) -> list[OpenAlert]:
    found = context.find(queries.open_alerts(context.db, MOST))
    opened = [OpenAlert(alert_id=each.id, document=each.document) for each in found]
    mine = [alert for alert in opened if account is None or alert.account == account]
    return sorted(mine, key=lambda alert: (alert.since is None, alert.since))


def show(context: Context, opened: Sequence[OpenAlert], *, with_documents: bool) -> None:
    at = now()
    context.screen.table(_COLUMNS, [_row(alert, at, with_documents=with_documents) for alert in opened])
    if not with_documents and any(alert.about for alert in opened):
        context.screen.say()
        context.screen.say(f"Which documents they are about: {PROGRAM} alerts ACCOUNT")


def _row(alert: OpenAlert, at: datetime, *, with_documents: bool) -> Row:
    document = alert.document
    notes = [str(document.get("message")), f"What to do: {alert.what_to_do}"]
    to_copy = [alert.about or "", alert.command()] if with_documents else []
    times = (age(alert.since, at), age(last_at(document), at))
    cells = [*times, *(str(document.get(name) or "-") for name in ("severity", "type", "accountId"))]
    return Row(cells=[*cells, str(document.get("count") or 1)], notes=notes, to_copy=to_copy)
