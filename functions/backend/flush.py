"""Wakes what waits for an account: one send job for each of its waiting threads."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from backend import log, queries
from backend.clock import now
from backend.send_queue import Job, SendQueue
from backend.stores import Stores
from core.ids import AccountId, ThreadId

_PAGE = 500
_PAGES = 10
_AT_ONCE = 16
"""Enqueueing waits for Cloud Tasks; the connector waits for the answer of its flush."""


@dataclass(frozen=True, kw_only=True)
class Flush:
    stores: Stores
    queue: SendQueue
    interval_s: float

    def account(self, account: AccountId) -> int:
        """The number of threads that were woken. What lies beyond 5,000 requests is left to the sweeper."""
        waiting: set[ThreadId] = set()
        for page in self.stores.pages(queries.waiting_requests_of_account(self.stores.db, account, _PAGE), _PAGES):
            waiting |= {ThreadId(str(request.value.get("threadId"))) for request in page}
        interval = math.floor(now().timestamp() / self.interval_s)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            woken = list(pool.map(lambda thread: self._wake(thread, interval), sorted(waiting))).count(True)
        log.account_flushed(account, woken)
        return woken

    def _wake(self, thread: ThreadId, interval: int) -> bool:
        """By a job at once, or else by one that runs at the interval's end for all who came after the first: a session that goes up and
        down, and a flush that is tried again because its answer is late, would make jobs faster than they are worked off.

        One thread's failure does not hold up the others: the sweeper makes it good."""
        job, name = Job(thread_id=thread), f"flush|{thread}|{interval}"
        try:
            if not self.queue.enqueue(job, name):
                self.queue.enqueue(job, f"{name}|end", datetime.fromtimestamp((interval + 1) * self.interval_s, UTC))
        except (GoogleAPIError, GoogleAuthError):
            log.thread_not_woken(thread)
            return False
        return True
