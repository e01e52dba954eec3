"""`create`: a WhatsApp account's documents, as threadlineCreateAccount writes them. For the first one, before anybody is a super-admin."""

from argparse import Namespace

from connector.admin.condition import PROGRAM
from connector.admin.context import Conflict, Context, Creation, now
from connector.admin.endings import Failed
from core import schema
from core.account import new_account_document, new_lease_document
from core.ids import AccountId


def create(context: Context, arguments: Namespace) -> None:
    """Running it again changes nothing. Raises Failed of an id with one document of the two."""
    account: AccountId = arguments.account
    existing = context.read_all([context.reference(table, account) for table in (schema.ACCOUNTS, schema.LEASES)])
    is_new = not any(existing)
    if is_new:
        is_new = _create(context, account, arguments.name or account)
    elif not all(existing):
        missing = "lease" if existing[0] else "account document"
        raise Failed(f"{account} has no {missing}: take another id, or restore the document from a backup")
    if context.screen.as_json:
        context.screen.data({"account": account, "created": is_new})
    else:
        done = "created" if is_new else "exists already"
        context.screen.say_folded(f"{account} {done}. Link its phone: `{PROGRAM} pair {account}`.")


def _create(context: Context, account: AccountId, name: str) -> bool:
    """False where somebody else created it at the same moment."""
    try:
        context.commit(
            [
                Creation(
                    reference=context.reference(schema.ACCOUNTS, account), fields=new_account_document(account, name)
                ),
                Creation(reference=context.reference(schema.LEASES, account), fields=new_lease_document(now())),
            ]
        )
    except Conflict:
        return False
    return True
