"""Messages and receipts of one event stream: into the ingest log first, acknowledged to the engine after that, in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connector import metrics
from connector.arrival import ArrivalOrder
from connector.contract import engine_pb2 as pb
from connector.engine import Engine
from connector.event_budget import AccountShare, memory_bytes
from connector.events import WalRow, wal_rows
from connector.term import Term
from connector.wal import Wal


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
    rows: Sequence[WalRow]
    memory_bytes: int
    written: asyncio.Future[None]
    waiting: object = field(default_factory=metrics.UNACKNOWLEDGED.begin)


@dataclass(kw_only=True)
class Intake:
    term: Term
    engine: Engine
    wal: Wal
    order: ArrivalOrder
    progress: Progress
    share: AccountShare
    """Of the memory for events that are not acknowledged: the stream is not read further while it is used up, and the stream's own
    flow control then holds the engine back."""
    committed: Callable[[WalRow], None] = lambda _row: None
    """Called with each row that stands, in order, before it is acknowledged."""
    _pending: deque[_Pending] = field(default_factory=deque, init=False)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)

    async def take(self, event: pb.Event) -> None:
        """Hands an event to the ingest log; waits while the account's events take too much memory."""
        self.term.check()
        rows = wal_rows(self.term.account, event, self.order, datetime.now(UTC))
        written = self.wal.submit(self.term, rows)
        await self._enqueue(
            _Pending(sequence=event.sequence, rows=rows, memory_bytes=memory_bytes(rows), written=written)
        )

    async def note(self, event: pb.Event, noting: Callable[[pb.Event], Awaitable[None]]) -> None:
        """Has an event noted that is no row, when all that came before stands, and acknowledges it after that."""
        # The one before stands only after all that came before itself.
        before = self._pending[-1].written if self._pending else None

        async def note_in_turn() -> None:
            if before is not None:
                await asyncio.shield(before)
            await noting(event)

        noted = asyncio.ensure_future(note_in_turn())
        noted.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may come to look
        size = memory_bytes(()) + event.ByteSize()
        await self._enqueue(_Pending(sequence=event.sequence, rows=(), memory_bytes=size, written=noted))

    async def pass_over(self, event: pb.Event) -> None:
        """Acknowledges an event that is not this account's, in its turn."""

        async def note_nothing(_: pb.Event) -> None:
            pass

        await self.note(event, note_nothing)

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
                acknowledged = [self._pending.popleft() for _ in range(durable)]
                for pending in acknowledged:
                    metrics.EVENT_SECONDS.observe(metrics.UNACKNOWLEDGED.end(pending.waiting))
                self._changed.notify_all()
            self.share.remove(sum(pending.memory_bytes for pending in acknowledged))

    async def drained(self) -> None:
        """Returns when everything taken is acknowledged."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._pending)

    def withdraw(self) -> None:
        """The stream is over: what was not acknowledged comes again on the next one."""
        for pending in self._pending:
            pending.written.cancel()
            metrics.UNACKNOWLEDGED.end(pending.waiting)
        self._pending.clear()
        self.share.remove(self.share.held_bytes)

    async def _enqueue(self, pending: _Pending) -> None:
        self.share.add(pending.memory_bytes)
        async with self._changed:
            self._pending.append(pending)
            self._changed.notify_all()
        await self.share.wait_for_room()
