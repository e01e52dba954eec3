"""Takes up what a lost trigger, job or worker has left behind: requests that are not finished, rows that are not processed."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from backend import log, queries
from backend.accept import Accept, message_id_of
from backend.clock import now
from backend.ingest import ContentionError, Ingest
from backend.send_queue import Job, SendQueue
from backend.stores import Conflict, Document, Stored, Stores
from core import inbound, outbox, schema
from core.ids import AccountId, ChatId, ThreadId, WaMessageId
from core.inbound import NotUnderstood
from core.outbox import Refusal
from core.timing import Timing

_PAGE = 200
_PAGES = 25
"""5,000 documents of each kind a run: bounded, and far enough that one paused account's queue does not hide the others'."""

_OUTSIDE = (GoogleAPIError, GoogleAuthError, ContentionError, Conflict)
"""What one item may fail with without anything being broken here."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a run has taken up. `early` are rows that go on waiting for their message."""

    accepted: int
    threads: int
    chats: int
    early: int


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Idempotent; a second run beside it does no harm."""

    stores: Stores
    timing: Timing
    accept: Accept
    ingest: Ingest
    queue: SendQueue

    def run(self) -> Swept:
        before = now() - timedelta(seconds=self.timing.sweep_age_s)
        accepted, threads = self._requests(before)
        chats, early = self._rows(before)
        swept = Swept(accepted=accepted, threads=threads, chats=chats, early=early)
        if accepted or threads or chats:
            log.swept(accepted=accepted, threads=threads, chats=chats, early=early)
        return swept

    def _requests(self, before: datetime) -> tuple[int, int]:
        """Requests without a message are accepted, and each thread gets a job."""
        accepted, woken, stamp = 0, set[ThreadId](), secrets.token_hex(8)
        for page in self.stores.pages(queries.unfinished_requests(self.stores.db, before, _PAGE), _PAGES):
            for request in self._without_message(page):
                accepted += self._step("accept", partial(self.accept.request, request))
            for thread in {ThreadId(str(request.value.get("threadId"))) for request in page} - woken:
                woken.add(thread)
                job = partial(self.queue.enqueue, Job(thread_id=thread), f"sweep|{thread}|{stamp}")
                self._step("enqueue", job)
        return accepted, len(woken)

    def _without_message(self, page: Sequence[Stored[Document]]) -> list[Stored[Document]]:
        """Of the requests that no job has claimed yet: a claimed one is accepted by its next job. And all that are invalid."""
        unclaimed: dict[WaMessageId, Stored[Document]] = {}
        invalid: list[Stored[Document]] = []
        for stored in page:
            request = outbox.parse_request(stored.id, stored.value)
            if isinstance(request, Refusal):
                invalid.append(stored)
            elif outbox.queue_state(stored.value).attempts == 0:
                unclaimed[message_id_of(request)] = stored
        if not unclaimed:
            return invalid
        references = [self.stores.reference(schema.MESSAGES, message_id) for message_id in unclaimed]
        standing = {
            snapshot.id for snapshot in self.stores.db.get_all(references, field_paths=["delivery"]) if snapshot.exists
        }
        return invalid + [stored for message_id, stored in unclaimed.items() if message_id not in standing]

    def _rows(self, before: datetime) -> tuple[int, int]:
        """Chats are drained as a whole; a row that cannot be understood is marked, so that it is not met again."""
        drained, early = set[tuple[AccountId, ChatId]](), 0
        for page in self.stores.pages(queries.unprocessed_rows(self.stores.db, before, _PAGE), _PAGES):
            for stored in page:
                row = inbound.parse_row(stored.id, stored.value)
                if isinstance(row, NotUnderstood):
                    take = partial(self.ingest.take, stored.id, stored.value, stored.update_time)
                    self._step("refuse", take)
                elif (chat := (row.account_id, row.chat_id)) not in drained:
                    drained.add(chat)
                    early += self._drain(*chat)
        return len(drained), early

    def _drain(self, account: AccountId, chat: ChatId) -> int:
        try:
            return self.ingest.drain(account, chat)
        except _OUTSIDE:
            log.sweep_step_failed("drain")
            return 0

    def _step(self, name: str, act: Callable[[], object]) -> bool:
        """One item's failure does not hold up the others: the next run meets it again."""
        try:
            act()
        except _OUTSIDE:
            log.sweep_step_failed(name)
            return False
        return True
