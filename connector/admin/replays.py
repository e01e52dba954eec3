"""`replay`: takes rows of the ingest log up again that were kept because they could not be understood.

A row is opened again under its update time. Its trigger fired when it was created, so the sweeper is the one to take it up. Its
lastProcessError stays until then: by it the functions know whose alert to close when the row is understood at last.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore import DELETE_FIELD, DocumentReference

from connector import queries
from connector.admin import alerts
from connector.admin.context import Change, Conflict, Context, Stored
from connector.admin.endings import Failed, NotFound, WrongUsage
from connector.admin.screen import Column, Row
from connector.admin.standing import unknown
from core import inbound, schema
from core.errors import CATALOGUE, ErrorCode, code_of, described
from core.ids import AccountId
from core.inbound import NotUnderstood, ReceiptReceived

_AT_ONCE = 100
_NEXT = "The sweeper takes up what was opened at its next run, within a minute; alerts close when it is understood."
_COLUMNS = (
    Column(title="ACCOUNT"),
    Column(title="ROWS", to_right=True),
    Column(title="WAS"),
    Column(title="NOW"),
)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What became of a row. `left` is why it stays as it was."""

    row: Stored
    error: str
    left: str | None

    @property
    def account(self) -> str:
        account = self.row.document.get("accountId")
        return account if isinstance(account, str) else "-"

    @property
    def code(self) -> str:
        return str(code_of(self.error) or self.error.partition(":")[0])


def replay(context: Context, arguments: Namespace) -> None:
    if arguments.event and (arguments.account or arguments.code):
        raise WrongUsage("name one row, or --account and --all-of-code, not both")
    if arguments.event:
        _one(context, arguments.event, anyway=arguments.anyway)
    elif arguments.account or arguments.code:
        _many(context, arguments.account, arguments.code, anyway=arguments.anyway)
    else:
        raise WrongUsage("name a row (EVENT_ID), --account ID or --all-of-code CODE")


def _one(context: Context, event: str, *, anyway: bool) -> None:
    row = context.read(schema.INGEST, event)
    if row is None:
        raise NotFound(f"there is no such row in {schema.INGEST} of project {context.project}")
    error = row.document.get("lastProcessError")
    if row.document.get("processed") is not True:
        raise Failed("the row waits already: the sweeper takes it up at its next run")
    if not isinstance(error, str):
        raise Failed("the row is fine: it was processed without an error")
    outcome = take(context, row, anyway=anyway)
    if outcome.left is not None:
        raise Failed(outcome.left)
    if context.screen.as_json:
        context.screen.data(_data([outcome]))
        return
    context.screen.say_folded(f"The row is open again; it was kept with {outcome.error!r}. {_forecast(row)}")


def _many(context: Context, account: AccountId | None, code: ErrorCode | None, *, anyway: bool) -> None:
    if account is not None and context.read(schema.ACCOUNTS, account) is None:
        raise unknown(context, account)
    if account is None and code is not None and CATALOGUE[code].alert is None:
        raise WrongUsage(f"{code} raises no alert that would name its accounts: add --account ID")
    references = _kept(context, account, code) if account else _kept_of_alerts(context, code)
    outcomes = list(_replay_all(context, references, code, anyway=anyway))
    if context.screen.as_json:
        context.screen.data(_data(outcomes))
    elif outcomes:
        _show(context, outcomes)
    else:
        context.screen.say("No such row was kept: there is nothing to replay.")
    left = sum(outcome.left is not None for outcome in outcomes)
    if left:
        raise Failed(f"{left} of {len(outcomes)} rows were left as they are")


def _kept(context: Context, account: AccountId, code: ErrorCode | None) -> list[DocumentReference]:
    found = context.find(queries.processed_rows_of_account(context.db, account))
    return [row.reference for row in found if _is_meant(row, code)]


def _kept_of_alerts(context: Context, code: ErrorCode | None) -> list[DocumentReference]:
    """Of the accounts that open alerts name, and the rows that they name: of one without an account nothing else does."""
    raised = [alert for alert in alerts.open_of(context, None) if alert.document.get("type") == code]
    accounts = {AccountId(alert.account) for alert in raised if alert.account}
    references = {
        reference.path: reference for account in sorted(accounts) for reference in _kept(context, account, code)
    }
    for alert in raised:
        if (alert.about or "").startswith(f"{schema.INGEST}/"):
            reference = context.reference(str(alert.about))
            references[reference.path] = reference
    return list(references.values())


def _replay_all(
    context: Context, references: Sequence[DocumentReference], code: ErrorCode | None, *, anyway: bool
) -> Iterator[_Outcome]:
    for start in range(0, len(references), _AT_ONCE):
        for row in context.read_all(references[start : start + _AT_ONCE]):
            if row is not None and row.document.get("processed") is True and _is_meant(row, code):
                yield take(context, row, anyway=anyway)


def _is_meant(row: Stored, code: ErrorCode | None) -> bool:
    error = row.document.get("lastProcessError")
    return isinstance(error, str) and code in (None, code_of(error))


def take(context: Context, row: Stored, *, anyway: bool) -> _Outcome:
    """Opens the row again, unless it would only be refused again."""
    error = str(row.document["lastProcessError"])
    understood = inbound.parse_row(row.id, row.document)
    if isinstance(understood, NotUnderstood) and not anyway:
        now_is = described(understood.code, understood.detail)
        advice = CATALOGUE[understood.code].what_to_do
        left = f"it would be refused again: {now_is}. {advice} (--anyway opens it all the same.)"
        return _Outcome(row=row, error=error, left=left)
    try:
        context.commit([Change(reference=row.reference, fields=opened_fields(), at=row.update_time)])
    except Conflict:
        return _Outcome(row=row, error=error, left="somebody else has just changed it; look at it again")
    return _Outcome(row=row, error=error, left=None)


def opened_fields() -> dict[str, object]:
    """What waits has no end."""
    return {
        "processed": False,
        "processedAt": None,
        "expireAt": DELETE_FIELD,
    }


def _forecast(row: Stored) -> str:
    understood = inbound.parse_row(row.id, row.document)
    if isinstance(understood, NotUnderstood):
        return (
            f"{_NEXT} This program does not understand it either: unless the functions are newer, it is refused again."
        )
    if isinstance(understood, ReceiptReceived):
        return f"{_NEXT} It is a receipt: it counts if its message stands by now, and is given up again if not."
    return f"{_NEXT} It becomes a message in its chat, at its own time."


def _show(context: Context, outcomes: Iterable[_Outcome]) -> None:
    counted = Counter((outcome.account, outcome.code, outcome.left) for outcome in outcomes)
    context.screen.table(
        _COLUMNS,
        [
            Row(
                cells=[account, str(count), code, "left as it was" if left else "open again"],
                notes=[left] if left else [],
            )
            for (account, code, left), count in sorted(
                counted.items(), key=lambda item: (*item[0][:2], item[0][2] or "")
            )
        ],
    )
    if any(outcome_left is None for _, _, outcome_left in counted):
        context.screen.say()
        context.screen.say_folded(_NEXT)


def _data(outcomes: Iterable[_Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "eventId": each.row.id,
            "accountId": each.account,
            "was": each.error,
            "openAgain": each.left is None,
            "left": each.left,
        }
        for each in outcomes
    ]
