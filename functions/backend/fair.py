"""A look at what waits that gives each account its share: whoever has much hides nothing of what the others have."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import TypeVar

from google.cloud.firestore import Query

from backend.stores import Document, Stored, Stores
from core.ids import AccountId

Item = TypeVar("Item")

PAGE = 100
PAGES = 50
"""5,000 documents a look at most. What waits beyond a page costs three pages a run and account, however much it is."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The queries of one kind of document that waits; `time_field` is the one that says since when."""

    time_field: str
    oldest: Callable[[datetime, int], Query]
    """Of all accounts, the oldest first, from before a moment."""
    by_account: Callable[[AccountId, int], Query]
    of_account_from: Callable[[AccountId, datetime, int], Query]


@dataclass(frozen=True, kw_only=True)
class Page:
    """`is_front`: an account's documents in it begin with its oldest."""

    documents: Sequence[Stored[Document]]
    is_front: bool


@dataclass(kw_only=True)
class FairLook:
    """One query, and that is all, where no more waits than a page. Else a page by account follows another, each past the account in
    which the one before it ended, whose rest is looked at from somewhere in its midst: of so many accounts a run as there are
    pages. The next run of this process goes on behind them."""

    stores: Stores
    waiting: Waiting
    is_crowded: bool = field(default=False, init=False)
    """Whether more waited than a page, the last time."""
    _reached: AccountId = field(default=AccountId(""), init=False)

    def pages(self, before: datetime) -> Iterator[Page]:
        """What has waited since before `before`. A document without an accountId stands in the first page alone."""
        first = self.stores.find(self.waiting.oldest(before, PAGE))
        self.is_crowded = len(first) == PAGE
        yield Page(documents=first, is_front=True)
        if not self.is_crowded:
            return
        began, left = self._reached, PAGES - 1
        has_wrapped = not began
        while left > 0:
            found = self.stores.find(self.waiting.by_account(self._reached, PAGE))
            left -= 1
            if not found and has_wrapped:
                self._reached = AccountId("")
                return
            if not found:
                self._reached, has_wrapped = AccountId(""), True
                continue
            yield Page(documents=self._older(found, before), is_front=True)
            last = AccountId(str(found[-1].value["accountId"]))
            if len(found) == PAGE and left > 0:
                left -= 1
                yield Page(documents=self._midst(last, found[-1], before), is_front=False)
            self._reached = last
            if has_wrapped and began and last >= began:
                return

    def _midst(self, account: AccountId, reached: Stored[Document], before: datetime) -> list[Stored[Document]]:
        """Of an account that has more than its share: the front may be what nobody can take up."""
        since = reached.value.get(self.waiting.time_field)
        if not isinstance(since, datetime) or since >= before:
            return []
        at = since + (before - since) * random.random()  # noqa: S311 - spreads looks, guards nothing
        return self._older(self.stores.find(self.waiting.of_account_from(account, at, PAGE)), before)

    def _older(self, found: Iterable[Stored[Document]], before: datetime) -> list[Stored[Document]]:
        """Those that are young belong to their trigger or job."""
        field_name = self.waiting.time_field
        times = ((each, each.value.get(field_name)) for each in found)
        return [each for each, at in times if isinstance(at, datetime) and at < before]


def in_turns(of_accounts: Iterable[Sequence[Item]]) -> Iterator[Item]:
    """The first of each account, then the second of each, and so on."""
    absent = object()
    for turn in zip_longest(*of_accounts, fillvalue=absent):
        yield from (item for item in turn if item is not absent)  # type: ignore[misc] # what is not absent is an Item
