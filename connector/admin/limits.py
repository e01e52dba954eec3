"""`limits`: how fast an account may send and how long its messages wait; shown, and set as the callable threadlineSetAccountLimits does."""

import re
from argparse import Namespace
from collections.abc import Mapping

from connector.admin.context import Change, Conflict, Context, Missing
from connector.admin.endings import Failed
from connector.admin.screen import pairs
from connector.admin.standing import unknown
from core import account_limits, schema
from core.account_limits import LIMITS
from core.ids import AccountId
from core.timing import Timing

_TRIES = 5


def limits(context: Context, arguments: Namespace) -> None:
    reference = context.reference(schema.ACCOUNTS, arguments.account)
    given = vars(arguments)
    fields = account_limits.checked({name: given[name] for name in LIMITS if name in given})
    if fields:
        _set(context, arguments.account, fields)
    (stored,) = context.read_all([reference])
    if stored is None:
        raise unknown(context, arguments.account)
    if context.screen.as_json:
        known = account_limits.known(stored.document)
        context.screen.data({"accountId": arguments.account, "project": context.project, "limits": known})
        return
    if fields:
        context.screen.say_folded(
            f"Set for {arguments.account} (project {context.project}); its owner heeds it within {Timing().heartbeat_s:.0f} s."
        )
        context.screen.say()
    lines = {}
    for name, each in account_limits.in_force(stored.document).items():
        default = "the default" if each.is_default else f"default {LIMITS[name].default}"
        lines[option(name).removeprefix("--")] = f"{each.value} ({default}): {LIMITS[name].meaning}"
    for line in pairs(lines):
        context.screen.say(line)


def _set(context: Context, account: AccountId, fields: Mapping[str, object]) -> None:
    """Raises NotFound and Failed."""
    change = Change(reference=context.reference(schema.ACCOUNTS, account), fields=fields)
    for _ in range(_TRIES):
        try:
            context.commit([change])
            return
        except Missing as error:
            raise unknown(context, account) from error
        except Conflict:
            continue
    raise Failed(f"others write {account} all the time; try again")


def option(name: str) -> str:
    """Of a field's name: --sends-per-minute of sendsPerMinute."""
    return "--" + re.sub(r"[A-Z]", lambda sign: f"-{sign.group().lower()}", name)
