"""`accounts` and `account`: how each number is, what is wrong with it, and what to do."""

from argparse import Namespace
from datetime import datetime
from typing import Any

from connector.admin import alerts
from connector.admin.condition import reason_in_words
from connector.admin.context import Context
from connector.admin.screen import Column, Row, pairs
from connector.admin.standing import Standing, read_all, read_one
from connector.admin.times import age, ago, clock, span
from core.account import Lease

_COLUMNS = (
    Column(title="ACCOUNT"),
    Column(title="NAME", shrinks=True),
    Column(title="STATUS"),
    Column(title="OWNER", shrinks=True),
    Column(title="LEASE"),
    Column(title="SEEN"),
    Column(title="QUEUE", to_right=True),
    Column(title="OLDEST", to_right=True),
)


def show_all(context: Context, _arguments: Namespace) -> None:
    standing = read_all(context)
    if context.screen.as_json:
        context.screen.data([each.data() for each in standing])
    elif standing:
        context.screen.table(_COLUMNS, [_row(each) for each in standing])
    else:
        context.screen.say(f"There is no account in project {context.project}.")


def show_one(context: Context, arguments: Namespace) -> None:
    standing = read_one(context, arguments.account)
    opened = alerts.open_of(context, standing.account)
    if context.screen.as_json:
        context.screen.data(_details(standing) | {"alerts": [alert.data() for alert in opened]})
        return
    for line in pairs(_lines(standing)):
        context.screen.say(line)
    if standing.condition.summary:
        context.screen.say()
        context.screen.say_folded(f"What is wrong: {standing.condition.summary}.")
    if standing.condition.what_to_do:
        context.screen.say_folded(f"What to do: {standing.condition.what_to_do}")
    context.screen.say()
    if not opened:
        context.screen.say("No alert is open.")
    else:
        context.screen.say("Open alerts, the oldest first:")
        alerts.show(context, opened, with_documents=True)


def _row(standing: Standing) -> Row:
    document, lease = standing.document, standing.lease
    return Row(
        cells=[
            standing.account,
            str(document.get("name") or ""),
            str(document.get("status")),
            (lease.owner if lease else None) or "-",
            _lease(lease, standing.at),
            ago(document.get("lastSeenAt"), standing.at),
            standing.queue.shown_depth,
            age(standing.queue.oldest_at, standing.at),
        ],
        notes=[standing.condition.sentence],
    )


def _lease(lease: Lease | None, at: datetime) -> str:
    if lease is None:
        return "none"
    if lease.owner is None:
        return "free"
    left_s = (lease.lease_until - at).total_seconds()
    return f"{left_s:.0f} s left" if left_s > 0 else f"{span(-left_s)} over"


def _lines(standing: Standing) -> dict[str, str]:
    document, lease, at = standing.document, standing.lease, standing.at
    reason = reason_in_words(document.get("disconnectReason"))
    lines = {
        "account": standing.account,
        "name": str(document.get("name") or ""),
        "number": str(document.get("phoneE164") or "not paired yet"),
        "status": f"{document.get('status')}" + (f" ({reason})" if reason else ""),
        "wanted": str(document.get("desiredState")),
        "owner": f"{lease.owner if lease and lease.owner else 'nobody'} (lease: {_lease(lease, at)})",
        "epoch": str(lease.epoch) if lease else "none",
        "endpoint": (lease.endpoint if lease else None) or "-",
        "last seen": ago(document.get("lastSeenAt"), at),
        "phone seen": ago(document.get("phoneLastSeenAt"), at),
        "last event": ago(document.get("lastEventAt"), at),
        "synchronised": ago(document.get("lastSyncedAt"), at),
        "connections lost": str(document.get("reconnectCount") or 0),
        "degraded": str(document.get("degradedReason") or "yes") if document.get("degraded") is True else "no",
        "queue": standing.queue.in_words(at),
    }
    if document.get("lastError"):
        lines["last error"] = str(document["lastError"])
    if lease is not None and lease.command is not None:
        lines["command"] = f"{lease.command.kind} waits for its owner"
    if isinstance(document.get("syncGapStartAt"), datetime):
        end = document.get("syncGapEndAt")
        until = clock(end) if isinstance(end, datetime) else "now"
        lines["gap"] = f"{clock(document['syncGapStartAt'])} to {until}"
    return lines


def _details(standing: Standing) -> dict[str, Any]:
    document, lease = standing.document, standing.lease
    names = (
        *(
            "phoneE164",
            "phoneLastSeenAt",
            "disconnectReason",
            "lastError",
            "lastEventAt",
            "lastSyncedAt",
            "lastSyncedKey",
        ),
        *("reconnectCount", "degradedReason", "syncGapStartAt", "syncGapEndAt", "queueLimitS"),
    )
    return standing.data() | {
        **{name: document.get(name) for name in names},
        "epoch": lease.epoch if lease else None,
        "endpoint": lease.endpoint if lease else None,
        "command": str(lease.command.kind) if lease and lease.command else None,
    }
