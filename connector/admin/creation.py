"""`create`: a WhatsApp account's documents, as threadlineCreateAccount writes them. For the first one, before anybody is a super-admin."""

from argparse import Namespace
from contextlib import suppress

from connector.admin.condition import PROGRAM
from connector.admin.context import Conflict, Context, Creation, now
from connector.admin.endings import Failed, WrongUsage
from core import diagnosis, schema
from core.account import new_account_document, new_lease_document
from core.ids import AccountId

_TRIES = 5


def create(context: Context, arguments: Namespace) -> None:
    """Running it again changes nothing. Raises Failed of an id with one document of the two, and WrongUsage of the doctor's id."""
    account: AccountId = arguments.account
    if account == diagnosis.ACCOUNT:
        raise WrongUsage(f"{account} is the doctor's; take another id")
    is_new = _create(context, account, arguments.name or account)
    if context.screen.as_json:
        context.screen.data({"account": account, "created": is_new})
    else:
        done = "created" if is_new else "exists already"
        context.screen.say_folded(f"{account} {done}. Link its phone: `{PROGRAM} pair {account}`.")


def _create(context: Context, account: AccountId, name: str) -> bool:
    """False where it exists. Raises Failed."""
    for _ in range(_TRIES):
        existing = context.read_all([context.reference(table, account) for table in (schema.ACCOUNTS, schema.LEASES)])
        if all(existing):
            return False
        if any(existing):
            missing = "lease" if existing[0] else "account document"
            raise Failed(f"{account} has no {missing}: take another id, or restore the document from a backup")
        with suppress(Conflict):
            context.commit(
                [
                    Creation(
                        reference=context.reference(schema.ACCOUNTS, account),
                        fields=new_account_document(account, name),
                    ),
                    Creation(reference=context.reference(schema.LEASES, account), fields=new_lease_document(now())),
                ]
            )
            return True
    raise Failed(f"{account} could not be created: Firestore gave up each time; try again")
