"""The sweep of the outbox: requests that nobody accepted, threads without a job, and accounts whose queue nobody works on."""

import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from backend import queries
from backend.accept import Accept, message_id_of
from backend.expiry import Expiry
from backend.fair import FairLook, Page, Waiting, in_turns
from backend.send_queue import Job, SendQueue
from backend.steps import Steps
from backend.stores import Document, Stored, Stores
from core import expiry, outbox, stuck
from core.account import Lease
from core.ids import AccountId, InvalidId, ThreadId, WaMessageId, account_id
from core.outbox import Refusal
from core.timing import Timing


@dataclass(frozen=True, kw_only=True)
class LateHead:
    """One that has waited for longer than it should, and that nobody is at work on; with its account's lease as it was read then."""

    head: Stored[Document]
    lease: Lease


@dataclass(kw_only=True)
class SweptRequests:
    accepted: int = 0
    threads: int = 0
    """That were woken."""
    resting: int = 0
    """Threads that wait for their account, or for a cold message's time: no job could do anything for them."""
    late_heads: dict[AccountId, LateHead] = field(default_factory=dict)
    """Of accounts that are held."""


@dataclass(kw_only=True)
class _Found:
    """The waiting threads of one account; `heads` where the first of the queue was seen."""

    threads: dict[ThreadId, Stored[Document]] = field(default_factory=dict)
    """With the oldest request that was seen of each."""
    heads: dict[ThreadId, Stored[Document]] = field(default_factory=dict)


class RequestSweep:
    """Idempotent; a second run beside it does no harm."""

    def __init__(self, stores: Stores, timing: Timing, accept: Accept, queue: SendQueue, expiry: Expiry) -> None:
        self._stores = stores
        self._timing = timing
        self._accept = accept
        self._queue = queue
        self._expiry = expiry
        waiting = Waiting(
            time_field="createdAt",
            oldest=partial(queries.unfinished_requests, stores.db),
            by_account=partial(queries.unfinished_requests_by_account, stores.db),
            of_account_from=partial(queries.unfinished_requests_of_account_from, stores.db),
        )
        self._look = FairLook(stores=stores, waiting=waiting)

    def run(self, steps: Steps, at: datetime) -> SweptRequests:
        """Requests without a message are accepted, and each thread gets a job that one could do something for."""
        swept, stop_at = SweptRequests(), time.monotonic() + self._timing.sweep_budget_s
        accounts: dict[str, _Found] = defaultdict(_Found)
        seen: set[str] = set()
        for page in self._look.pages(at - timedelta(seconds=self._timing.sweep_age_s)):
            if time.monotonic() < stop_at:
                steps.result("page", partial(self._accept_all, page, seen, swept, steps))
            _note(page, accounts)
        ready = {account: steps.result("lease", partial(self._lease, account)) for account in accounts}
        limits, stamp = _Limits(expiry=self._expiry), secrets.token_hex(8)
        threads = [[(account, *thread) for thread in found.threads.items()] for account, found in accounts.items()]
        for account, thread, oldest in in_turns(threads):
            if time.monotonic() > stop_at:
                break
            if steps.result("look", partial(self._may_move, ready[account], oldest, limits, at)) is False:
                swept.resting += 1
                continue
            job = partial(self._queue.enqueue, Job(thread_id=thread), f"sweep|{thread}|{stamp}")
            swept.threads += steps.take("enqueue", job)
        for account, found in accounts.items():
            lease = ready[account]
            late = [head for head in found.heads.values() if stuck.is_left_alone(head.value, at, self._timing)]
            if lease is not None and lease.wanted and lease.is_held(at) and late:
                swept.late_heads[AccountId(account)] = LateHead(head=late[0], lease=lease)
        return swept

    def _accept_all(self, page: Page, seen: set[str], swept: SweptRequests, steps: Steps) -> None:
        """Of the requests that no job has claimed yet: a claimed one is accepted by its next job. And all that are invalid."""
        unclaimed: dict[WaMessageId, Stored[Document]] = {}
        to_accept: list[Stored[Document]] = []
        new = [stored for stored in page.documents if stored.id not in seen]
        seen.update(stored.id for stored in new)
        for stored in new:
            request = outbox.parse_request(stored.id, stored.value)
            if isinstance(request, Refusal):
                to_accept.append(stored)
            elif outbox.queue_state(stored.value).attempts == 0:
                unclaimed[message_id_of(request)] = stored
        standing = self._stores.standing(unclaimed)
        to_accept += [stored for message_id, stored in unclaimed.items() if message_id not in standing]
        for stored in to_accept:
            swept.accepted += steps.take("accept", partial(self._accept.request, stored))

    def _lease(self, account: str) -> Lease | None:
        try:
            stored = self._stores.lease(account_id(account))
        except InvalidId:
            return None
        return stored.value if stored is not None else None

    def _may_move(self, lease: Lease | None, oldest: Stored[Document], limits: "_Limits", at: datetime) -> bool:
        """Whether a job could do anything: where nobody holds the account, only what is too old is ended. A flush comes when
        somebody does. A cold message before its time is looked at then, or when its contact is answered."""
        if outbox.queue_state(oldest.value).is_held_as_cold(at):
            return False
        if lease is None or (lease.wanted and lease.is_held(at)):
            return True
        return expiry.is_past(oldest.value, at, self._timing.queue_limit_least_s) and limits.is_past(oldest, at)


@dataclass(frozen=True, kw_only=True)
class _Limits:
    """How old the requests of an account may become: read when it matters, once a run."""

    expiry: Expiry
    known: dict[str, float] = field(default_factory=dict)

    def is_past(self, request: Stored[Document], at: datetime) -> bool:
        account = str(request.value["accountId"])
        if account not in self.known:
            self.known[account] = self.expiry.limit_s(AccountId(account))
        return expiry.is_past(request.value, at, self.known[account])


def _note(page: Page, accounts: dict[str, _Found]) -> None:
    for request in page.documents:
        found, thread = accounts[str(request.value.get("accountId"))], request.value.get("threadId")
        if not isinstance(thread, str):
            continue  # nobody can send it; it was refused just now
        found.threads.setdefault(ThreadId(thread), request)
        if page.is_front:
            found.heads.setdefault(ThreadId(thread), request)
