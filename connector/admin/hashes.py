"""`who`: which thread, request or row a log means by one of its short hashes.

The hash is keyed (core/log_hash) and cannot be turned round, so the ids that stand in Firestore are hashed until one fits.
"""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.cloud.firestore import Client, Query

from connector import queries
from connector.admin.context import Context
from connector.admin.endings import NotFound
from connector.admin.screen import pairs
from connector.admin.standing import unknown
from core import schema
from core.ids import AccountId, RequestId, outbound_key
from core.log_hash import log_hash, log_hash_key


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What ids of one collection may stand for in a log, and how the log names the field."""

    collection: str
    of_account: Callable[[Client, AccountId], Query]
    named: Callable[[str], dict[str, str]]


_KINDS = (
    _Kind(collection=schema.THREADS, of_account=queries.thread_ids, named=lambda name: {"thread": name}),
    _Kind(
        collection=schema.OUTBOX,
        of_account=queries.request_ids,
        named=lambda name: {"request": name, "key": outbound_key(RequestId(name))},
    ),
    _Kind(collection=schema.INGEST, of_account=queries.row_ids, named=lambda name: {"row": name}),
)


def resolve(context: Context, arguments: Namespace) -> None:
    account: AccountId | None = arguments.account
    if account is not None and context.read(schema.ACCOUNTS, account) is None:
        raise unknown(context, account)
    secret = os.environ.get("THREADLINE_LOG_HASH_KEY", "")
    key = log_hash_key({"THREADLINE_LOG_HASH_KEY": secret, "GOOGLE_CLOUD_PROJECT": context.project})
    looked_at = 0
    for kind in _KINDS:
        for name in _ids(context, kind, account):
            looked_at += 1
            for field, value in kind.named(name).items():
                if log_hash(key, value) == arguments.hash:
                    _show(context, field, kind.collection, name)
                    return
    key_note = (
        "THREADLINE_LOG_HASH_KEY of this shell"
        if secret.strip()
        else "the project's id, as THREADLINE_LOG_HASH_KEY is not set here"
    )
    raise NotFound(
        f"none of {looked_at} threads, requests and rows has this hash under {key_note}; it must be the services' key. "
        "What has been removed after its time cannot be found."
    )


def _ids(context: Context, kind: _Kind, account: AccountId | None) -> Iterator[str]:
    everything = context.db.collection(kind.collection).select([])
    for found in context.each(kind.of_account(context.db, account) if account else everything):
        yield found.id


def _show(context: Context, field: str, collection: str, name: str) -> None:
    found = {"field": field, "accountId": name.partition("_")[0], "collection": collection, "id": name}
    if context.screen.as_json:
        context.screen.data(found)
    else:
        for line in pairs(found):
            context.screen.say(line)
