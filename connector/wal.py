"""The ingest log's writer: gathers rows of all accounts for a moment, creates them in one commit, and says when they stand."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from google.api_core.exceptions import AlreadyExists
from google.cloud.firestore import AsyncClient

from connector import log, metrics
from connector.backoff import Backoff
from connector.event_budget import DEFAULT_MEMORY_BYTES, EventBudget
from connector.events import WalRow
from connector.recent_rows import RecentRows
from connector.reduction import fitting, payload_bytes, reductions
from connector.same_content import COMPARED_FIELDS, says_the_same, under_its_own_id
from connector.store import REFUSED_FOR_GOOD, UNAVAILABLE, commit
from connector.term import Term, TermLost
from core import schema
from core.ids import AccountId, EventId

_GATHER_S = 0.004
_MAX_ROWS = 400
_MAX_BYTES = 2 * 1024 * 1024
"""Of payload. A commit may hold 10 MiB, in the emulator 4; one that is larger is told from an overload by nobody."""
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 5.0


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """The rows of one event, which are durable together or not yet."""

    term: Term
    rows: list[WalRow]
    written: asyncio.Future[None]

    def __post_init__(self) -> None:
        # An entry that nobody waits for any more may stay in the queue for as long as Firestore is away: without its rows.
        self.written.add_done_callback(lambda _: self.rows.clear())

    def is_wanted(self) -> bool:
        """False once the term is over or nobody waits any more: the engine will hand the event over again, to whoever owns it."""
        if not self.written.done() and not self.term.is_live():
            self.written.set_exception(TermLost("the lease's deadline has passed"))
        return not self.written.done()

    def mark_written(self) -> None:
        if not self.written.done():
            self.written.set_result(None)


class Wal:
    """One writer a process. Rows of one account are committed in the order in which they were submitted."""

    def __init__(self, db: AsyncClient, call_s: float, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> None:
        self.memory = EventBudget(total_bytes=memory_bytes)
        """For the events whose rows are submitted here."""
        self._db = db
        self._call_s = call_s
        self._waiting: OrderedDict[AccountId, deque[_Entry]] = OrderedDict()
        """The account whose turn is next comes first."""
        self._arrived = asyncio.Event()
        self._recent = RecentRows()
        self._singly: dict[AccountId, asyncio.Task[None]] = {}
        """Accounts whose rows are written one by one just now: their next ones wait, nobody else's."""

    def submit(self, term: Term, rows: Sequence[WalRow]) -> asyncio.Future[None]:
        """The future is done when all rows stand in Firestore, or fails with TermLost. Cancelling it withdraws the rows."""
        written = asyncio.get_running_loop().create_future()
        entry = _Entry(term=term, rows=[fitting(row) for row in rows], written=written)
        self._waiting.setdefault(term.account, deque()).append(entry)
        self._arrived.set()
        return written

    async def run(self) -> None:
        """Commits until it is cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER_S)
            await self._commit_batch(self._take())

    def _take(self) -> list[_Entry]:
        """The next entries that fit into one commit: one of each account in turn, so that an account with many delays nobody else."""
        taken: list[_Entry] = []
        rows = size = 0
        ready = [account for account in self._waiting if account not in self._singly]
        while ready:
            for account in ready:
                entry = self._waiting[account][0]
                rows += len(entry.rows)
                size += sum(payload_bytes(row) for row in entry.rows)
                if taken and (rows > _MAX_ROWS or size > _MAX_BYTES):
                    return taken
                taken.append(self._waiting[account].popleft())
                self._waiting.move_to_end(account)
                if not self._waiting[account]:
                    del self._waiting[account]
            ready = [account for account in ready if account in self._waiting]
        self._arrived.clear()
        return taken

    async def _commit_batch(self, batch: list[_Entry]) -> None:
        """Until each entry is written, handed to its account's own task, or not wanted any more."""
        backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=_RETRY_MAX_S)
        metrics.WAL_ROWS.labels("stood_already").inc(
            sum(len(entry.rows) for entry in batch) - len(self._rows_to_write(batch))
        )
        while batch := [entry for entry in batch if entry.is_wanted()]:
            rows = self._rows_to_write(batch)
            try:
                await self._create_missing(rows)
            except (AlreadyExists, *REFUSED_FOR_GOOD):
                self._write_singly(batch)
                return
            except UNAVAILABLE as error:
                log.wal_commit_failed(len(rows), error)
                metrics.WAL_COMMIT_FAILURES.inc()
                await asyncio.sleep(backoff.next_delay_s())
            else:
                batch = self._mark_written(batch)

    def _rows_to_write(self, batch: Sequence[_Entry]) -> list[WalRow]:
        """Without those that are known to stand. One row an id: from a row on whose id another content has, its account waits for the
        next commit."""
        rows: dict[EventId, WalRow] = {}
        delayed: set[AccountId] = set()
        for entry in batch:
            for row in entry.rows:
                if entry.term.account in delayed or row in self._recent:
                    continue
                if rows.setdefault(row.event_id, row).content_key != row.content_key:
                    delayed.add(entry.term.account)
        return list(rows.values())

    async def _create_missing(self, rows: list[WalRow]) -> None:
        """Creates those rows that do not exist yet. A row whose id another content has is created under an id of its own. Raises
        AlreadyExists if Firestore says so, but finds none of them."""
        moved: dict[EventId, WalRow] = {}
        """By their own ids, the rows as they came."""
        while rows:
            try:
                await self._create(rows)
            except AlreadyExists:
                existing = await self._existing(rows)
                if not existing:
                    raise
                left: list[WalRow] = []
                for row in rows:
                    if row.event_id not in existing:
                        left.append(row)
                    elif says_the_same(existing[row.event_id], row):
                        self._recent.add([row])
                        metrics.WAL_ROWS.labels("stood_already").inc()
                    else:
                        metrics.WAL_ROWS.labels("other_content").inc()
                        left.append(under_its_own_id(row))
                        moved[left[-1].event_id] = row
                rows = left
            else:
                break
        self._recent.add(moved.values())

    async def _existing(self, rows: Sequence[WalRow]) -> dict[EventId, Mapping[str, Any]]:
        """Those of the rows that exist, with what is compared of them, with one read."""
        references = [self._db.collection(schema.INGEST).document(row.event_id) for row in rows]
        found = self._db.get_all(references, COMPARED_FIELDS, retry=None, timeout=self._call_s)
        return {EventId(each.id): each.to_dict() or {} async for each in found if each.exists}

    def _mark_written(self, batch: Sequence[_Entry]) -> list[_Entry]:
        """Those entries whose rows stand, in order within an account. Answers the others."""
        left: dict[AccountId, list[_Entry]] = {}
        for entry in batch:
            if entry.term.account not in left and all(row in self._recent for row in entry.rows):
                entry.mark_written()
            else:
                left.setdefault(entry.term.account, []).append(entry)
        return [entry for entries in left.values() for entry in entries]

    def _write_singly(self, batch: list[_Entry]) -> None:
        """A row stands already or is refused: each for itself, in order within an account, the accounts side by side."""
        by_account = sorted(batch, key=lambda entry: entry.term.account)
        for account, entries in groupby(by_account, key=lambda entry: entry.term.account):
            self._singly[account] = asyncio.create_task(self._create_in_order(account, list(entries)))

    async def _create_in_order(self, account: AccountId, entries: Iterable[_Entry]) -> None:
        try:
            for entry in entries:
                for row in entry.rows:
                    await self._create_one(entry, row)
                entry.mark_written()
        finally:
            del self._singly[account]
            self._arrived.set()

    async def _create_one(self, entry: _Entry, row: WalRow) -> None:
        backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=_RETRY_MAX_S)
        smaller = reductions(row)
        while entry.is_wanted():
            try:
                await self._create_missing([row])
                return
            except AlreadyExists:
                await asyncio.sleep(backoff.next_delay_s())  # it has been deleted meanwhile
            except REFUSED_FOR_GOOD as error:
                log.row_reduced(entry.term.account, error)
                if (reduced := next(smaller, None)) is None:
                    await asyncio.sleep(backoff.next_delay_s())  # never acknowledged, so not lost
                else:
                    row = reduced
            except UNAVAILABLE as error:
                log.wal_commit_failed(1, error)
                metrics.WAL_COMMIT_FAILURES.inc()
                await asyncio.sleep(backoff.next_delay_s())

    async def _create(self, rows: Sequence[WalRow]) -> None:
        """All or none, but for an event whose rows do not fit into one commit: its first ones may stand alone for a moment."""
        for chunk in _commits(rows):
            batch = self._db.batch()
            for row in chunk:
                batch.create(self._db.collection(schema.INGEST).document(row.event_id), row.document)
            began = time.monotonic()
            await commit(batch, self._call_s)
            metrics.WAL_COMMIT_SECONDS.observe(time.monotonic() - began)
            metrics.WAL_ROWS.labels("created").inc(len(chunk))
            self._recent.add(chunk)


def _commits(rows: Iterable[WalRow]) -> Iterator[list[WalRow]]:
    """The rows in parts that Firestore takes in one commit each."""
    part: list[WalRow] = []
    size = 0
    for row in rows:
        size += payload_bytes(row)
        if part and (len(part) == _MAX_ROWS or size > _MAX_BYTES):
            yield part
            part, size = [], payload_bytes(row)
        part.append(row)
    yield part
