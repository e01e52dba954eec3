"""Wakes what waits for an account: one send job for each of its waiting threads."""

import secrets
from dataclasses import dataclass

from backend import log, queries
from backend.send_queue import Job, SendQueue
from backend.stores import Stores
from core.ids import AccountId, ThreadId

_PAGE = 500
_PAGES = 10


@dataclass(frozen=True, kw_only=True)
class Flush:
    stores: Stores
    queue: SendQueue

    def account(self, account: AccountId) -> int:
        """The number of threads that were woken. What lies beyond 5,000 requests is left to the sweeper."""
        woken: set[ThreadId] = set()
        stamp = secrets.token_hex(8)
        for page in self.stores.pages(queries.waiting_requests_of_account(self.stores.db, account, _PAGE), _PAGES):
            for thread in {ThreadId(str(request.value.get("threadId"))) for request in page} - woken:
                self.queue.enqueue(Job(thread_id=thread), f"flush|{thread}|{stamp}")
                woken.add(thread)
        log.account_flushed(account, len(woken))
        return len(woken)
