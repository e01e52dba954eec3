"""`pause`, `resume`, `logout` and `close-gap`: what a super-admin wants of an account, written as the functions' callables write it.

`functions/backend/accounts.py` also pokes a connector and flushes the queue. This program has no identity that a connector takes, so
the owner sees the change when it renews its lease, and what waits leaves when the session opens or with the sweeper's next run.
"""

from argparse import Namespace
from contextlib import suppress

from connector.admin.condition import PROGRAM
from connector.admin.context import Change, Conflict, Context, Stored, now
from connector.admin.endings import Failed
from connector.admin.standing import Standing, read_one, unknown
from core import gap, schema
from core.account import (
    NO_CODES,
    Command,
    CommandKind,
    DesiredState,
    must_be_told_here,
    new_command,
    parse_lease,
    unowned_pause_fields,
    wanted_fields,
)
from core.ids import AccountId
from core.timing import Timing

_TRIES = 5


def pause(context: Context, arguments: Namespace) -> None:
    standing = read_one(context, arguments.account)
    write(context, standing, DesiredState.PAUSED, None)
    closing = (
        "no connector holds its session"
        if _owner(standing) is None
        else f"{_actor(standing)} closes the session and keeps it"
    )
    _done(context, standing, f"paused: {closing}; messages wait")


def resume(context: Context, arguments: Namespace) -> None:
    standing = read_one(context, arguments.account)
    write(context, standing, DesiredState.CONNECTED, None)
    _done(
        context, standing, f"resumed: {_actor(standing)} opens the session, and what waits leaves when it is connected"
    )


def log_out(context: Context, arguments: Namespace) -> None:
    standing = read_one(context, arguments.account)
    if standing.document.get("desiredState") == DesiredState.PAUSED:
        raise Failed(
            f"{standing.account} is paused, and logging out needs its session: `{PROGRAM} resume {standing.account}`, then log it out"
        )
    write(context, standing, None, new_command(CommandKind.LOGOUT))
    text = f"asked to log out: {_actor(standing)} unlinks the device; the same number can be paired again"
    _done(context, standing, text)


def close_gap(context: Context, arguments: Namespace) -> None:
    standing = read_one(context, arguments.account)
    if not gap.is_told(standing.document):
        raise Failed(f"no gap of {standing.account} is open; `{PROGRAM} account {standing.account}` shows how it is")
    if standing.document.get("desiredState") == DesiredState.PAUSED:
        raise Failed(
            f"{standing.account} is paused, and its gap is closed by the connector that owns it: `{PROGRAM} resume {standing.account}`, "
            "then close it"
        )
    write(context, standing, None, new_command(CommandKind.CLOSE_GAP))
    _done(context, standing, f"asked to close its gap: {_actor(standing)} gives up what is missing, and ends the alert")


def write(context: Context, standing: Standing, state: DesiredState | None, command: Command | None) -> None:
    """As the callables do. Raises NotFound and Failed."""
    for _ in range(_TRIES):
        lease = context.read(schema.LEASES, standing.account)
        if lease is None:
            raise unknown(context, standing.account)
        with suppress(Conflict):
            context.commit(_writes(context, standing.account, lease, state, command))
            return
    raise Failed(f"others write {standing.account} all the time; try again")


def _writes(
    context: Context, account: AccountId, lease: Stored, state: DesiredState | None, command: Command | None
) -> list[Change]:
    asked: dict[str, object] = {"command": command.document()} if command is not None else {}
    if state is None:
        return [Change(reference=lease.reference, fields=asked)]
    at, document = now(), context.reference(schema.ACCOUNTS, account)
    fields: dict[str, object] = {"desiredState": str(state)}
    wanted = {**asked, **wanted_fields(state, at)}
    changes = [Change(reference=lease.reference, fields=wanted, at=lease.update_time)]
    if must_be_told_here(state, parse_lease(lease.document), at):
        fields |= unowned_pause_fields()
        private = context.reference(schema.ACCOUNTS, account, schema.PRIVATE, schema.PRIVATE_STATE)
        changes.append(Change(reference=private, fields=NO_CODES, may_create=True))
    return [Change(reference=document, fields=fields), *changes]


def _done(context: Context, standing: Standing, text: str) -> None:
    if context.screen.as_json:
        context.screen.data({"accountId": standing.account, "project": context.project, "done": text})
    else:
        context.screen.say_folded(f"{standing.account} (project {context.project}) is {text}.")


def _owner(standing: Standing) -> str | None:
    lease = standing.lease
    return lease.owner if lease is not None and lease.is_held(standing.at) else None


def _actor(standing: Standing) -> str:
    owner = _owner(standing)
    within = f"within {Timing().lease_renew_s:.0f} s"
    return f"its owner {owner}, {within}," if owner else "the connector that takes it next"
