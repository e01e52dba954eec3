"""Messages and receipts of one event stream: into the ingest log first, acknowledged to the engine after that, in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connector import metrics
from connector.arrival import ArrivalOrder
from connector.contract import engine_pb2 as pb
from connector.engine import Engine
from connector.events import WalRow, wal_rows
from connector.term import Term
from connector.wal import Wal

_MAX_UNACKNOWLEDGED = 1000
"""The stream is not read further while so many wait for Firestore: its own flow control then holds the engine back."""


@dataclass(kw_only=True)
class Progress:
    """How far the ingest log has come, for the heartbeat."""

    last_event_at: datetime | None = None
    last_synced_at: datetime | None = None
    last_synced_key: str | None = None

    def advance(self, row: WalRow) -> None:
        self.last_event_at = max(row.timestamp, self.last_event_at or row.timestamp)
        self.last_synced_at, self.last_synced_key = row.received_at, row.key


@dataclass(frozen=True, kw_only=True)
class _Pending:
    sequence: int
    rows: list[WalRow]
    written: asyncio.Future[None]
    waiting: object = field(default_factory=metrics.UNACKNOWLEDGED.begin)


@dataclass(kw_only=True)
class Intake:
    term: Term
    engine: Engine
    wal: Wal
    order: ArrivalOrder
    progress: Progress
    committed: Callable[[WalRow], None] = lambda _row: None
    """Called with each row that stands, in order, before it is acknowledged."""
    _pending: deque[_Pending] = field(default_factory=deque, init=False)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)

    async def take(self, event: pb.Event) -> None:
        """Hands an event to the ingest log; waits while too many are on their way."""
        self.term.check()
        rows = wal_rows(self.term.account, event, self.order, datetime.now(UTC))
        await self._await_turn(_Pending(sequence=event.sequence, rows=rows, written=self.wal.submit(self.term, rows)))

    async def note(self, event: pb.Event, noting: Callable[[pb.Event], Awaitable[None]]) -> None:
        """Has an event noted that is no row, when all that came before stands, and acknowledges it after that."""
        before = [pending.written for pending in self._pending]

        async def note_in_turn() -> None:
            for written in before:
                await asyncio.shield(written)
            await noting(event)

        noted = asyncio.ensure_future(note_in_turn())
        noted.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may come to look
        await self._await_turn(_Pending(sequence=event.sequence, rows=[], written=noted))

    async def pass_over(self, event: pb.Event) -> None:
        """Acknowledges an event that is not this account's, in its turn."""
        nothing = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        await self._await_turn(_Pending(sequence=event.sequence, rows=[], written=nothing))

    async def acknowledge(self) -> None:
        """Acknowledges whatever has become durable, until it is cancelled. Raises TermLost and EngineFailed."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._pending)
            await self._pending[0].written
            durable = 0
            while durable < len(self._pending) and self._pending[durable].written.done():
                pending = self._pending[durable]
                pending.written.result()
                for row in pending.rows:
                    self.progress.advance(row)
                    self.committed(row)
                durable += 1
            sequence = max(self._pending[place].sequence for place in range(durable))
            self.term.check()
            if sequence:
                await self.engine.acknowledge(self.term, sequence)
            metrics.ACKNOWLEDGED.inc(durable)
            async with self._changed:
                for _ in range(durable):
                    metrics.EVENT_SECONDS.observe(metrics.UNACKNOWLEDGED.end(self._pending.popleft().waiting))
                self._changed.notify_all()

    async def drained(self) -> None:
        """Returns when everything taken is acknowledged."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._pending)

    def withdraw(self) -> None:
        """The stream is over: what was not acknowledged comes again on the next one."""
        for pending in self._pending:
            pending.written.cancel()
            metrics.UNACKNOWLEDGED.end(pending.waiting)

    async def _await_turn(self, pending: _Pending) -> None:
        async with self._changed:
            self._pending.append(pending)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: len(self._pending) <= _MAX_UNACKNOWLEDGED)
