"""An account as its documents say it is: itself, its lease and its queue, read together."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.admin import waiting
from connector.admin.condition import Condition, condition
from connector.admin.context import Context, Document, now
from connector.admin.endings import NotFound
from connector.admin.waiting import Waiting
from core import schema
from core.account import Lease, parse_lease
from core.ids import AccountId
from core.timing import Timing


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An account as its documents say it is."""

    account: AccountId
    document: Document
    lease: Lease | None
    queue: Waiting
    at: datetime

    @property
    def condition(self) -> Condition:
        return condition(self.account, self.document, self.lease, self.at, Timing())

    def data(self) -> dict[str, Any]:
        """What the list says of it: no number."""
        document, lease = self.document, self.lease
        return {
            "accountId": self.account,
            "name": document.get("name"),
            "status": document.get("status"),
            "desiredState": document.get("desiredState"),
            "reason": self.condition.summary or None,
            "whatToDo": self.condition.what_to_do or None,
            "owner": lease.owner if lease else None,
            "leaseUntil": lease.lease_until if lease and lease.owner else None,
            "lastSeenAt": document.get("lastSeenAt"),
            "degraded": document.get("degraded") is True,
            "queueDepth": self.queue.depth,
            "queueDepthIsCut": self.queue.is_cut,
            "oldestWaitingSince": self.queue.oldest_at,
        }


def read_all(context: Context) -> list[Standing]:
    documents = context.find(context.db.collection(schema.ACCOUNTS))
    leases = context.read_all([context.reference(schema.LEASES, document.id) for document in documents])
    queues = waiting.by_account(context)
    at = now()
    return [
        Standing(
            account=AccountId(document.id),
            document=document.document,
            lease=parse_lease(lease.document) if lease else None,
            queue=queues.get(document.id, Waiting()),
            at=at,
        )
        for document, lease in zip(documents, leases, strict=True)
    ]


def read_one(context: Context, account: AccountId) -> Standing:
    """Raises NotFound."""
    document, lease = context.read_all(
        [context.reference(schema.ACCOUNTS, account), context.reference(schema.LEASES, account)]
    )
    if document is None:
        raise unknown(context, account)
    return Standing(
        account=account,
        document=document.document,
        lease=parse_lease(lease.document) if lease else None,
        queue=waiting.of_account(context, account),
        at=now(),
    )


def unknown(context: Context, account: AccountId) -> NotFound:
    return NotFound(f"there is no account {account} in project {context.project}; `accounts` lists them")
