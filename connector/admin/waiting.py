"""What waits to be sent: how much, since when, and which request stands first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from connector import queries
from connector.admin.context import Context, Document
from connector.admin.times import age
from core.ids import AccountId
from core.outbox import RequestStatus, queue_state

MOST = 20_000
"""Requests that are read for one answer: each is a read that is paid for."""


@dataclass(kw_only=True)
class Waiting:
    """`head` is the oldest request that waits."""

    depth: int = 0
    sending: int = 0
    head: Document | None = None
    is_cut: bool = False
    """There are more: only the oldest were read."""

    @property
    def oldest_at(self) -> datetime | None:
        at = self.head.get("createdAt") if self.head else None
        return at if isinstance(at, datetime) else None

    @property
    def shown_depth(self) -> str:
        return f"{self.depth}{'+' if self.is_cut else ''}"

    def add(self, request: Document) -> None:
        """Requests come oldest first."""
        self.head = self.head or request
        self.depth += 1
        self.sending += queue_state(request).status is RequestStatus.SENDING

    def in_words(self, at: datetime) -> str:
        return f"{self.shown_depth} waiting, the oldest for {age(self.oldest_at, at)}" if self.depth else "empty"


def by_account(context: Context) -> dict[str, Waiting]:
    return _by("accountId", (each.document for each in context.find(queries.waiting_requests(context.db, MOST))))


def of_account(context: Context, account: AccountId) -> Waiting:
    return _by("accountId", _requests(context, account)).get(account, Waiting())


def by_thread(context: Context, account: AccountId) -> dict[str, Waiting]:
    return _by("threadId", _requests(context, account))


def _requests(context: Context, account: AccountId) -> list[Document]:
    return [each.document for each in context.find(queries.waiting_requests_of_account(context.db, account, MOST))]


def _by(field: str, requests: Iterable[Document]) -> dict[str, Waiting]:
    """Grouped by a field, those with the oldest head first."""
    groups: dict[str, Waiting] = {}
    for request in requests:
        groups.setdefault(str(request.get(field)), Waiting()).add(request)
    is_cut = sum(group.depth for group in groups.values()) >= MOST
    for group in groups.values():
        group.is_cut = is_cut
    return groups
