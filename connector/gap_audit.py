"""One account's gaps: holds what the engine says of missing messages against the ingest log, asks for history, and closes what is filled."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from google.cloud.firestore_v1.async_aggregation import AsyncAggregationQuery

from connector import log, metrics
from connector.contract import engine_pb2 as pb
from connector.engine import Engine, EngineFailed
from connector.events import WalRow, awaited_row
from connector.history import ask_for_history
from connector.queries import history_rows_of_time, newest_rows_before, rows_of_keys
from connector.store import UNAVAILABLE
from connector.telling import Telling
from core import schema
from core.alert_types import Condition
from core.degradation import Cause
from core.gap import CLOCKS, FIELD, Gap, is_named, parse_gap
from core.ids import EventId

_GRACE_BEATS = 2
"""A message that could not be decrypted mostly comes again within a second: nobody is told of it before so many heartbeats."""
_ASK_AGAIN_BEATS = 240
"""An hour of 15 s: a message that is asked before must be newer than the missing one, so what came meanwhile may help."""
_KEYS_A_QUERY = 30
"""Firestore takes no more values in one `in`."""
_NO_GAP = {"syncGapStartAt": None, "syncGapEndAt": None}


@dataclass(kw_only=True)
class GapAudit:
    engine: Engine
    telling: Telling
    beat_s: float
    is_connected: Callable[[], bool]
    trusts_announced: bool = False
    """Whether a message that WhatsApp announced and never handed over is a gap. Without it such a message is only counted: it is not known
    whether WhatsApp's announced number is the number that it hands over."""
    _gap: Gap | None = field(default=None, init=False)
    _is_known: bool = field(default=False, init=False)
    """Whether the owner before has been asked, whose gap may stand."""
    _awaited_beats: int = field(default=0, init=False)
    """Heartbeats since a message became awaited."""
    _beats_to_asking: int = field(default=0, init=False)
    _has_news: bool = field(default=False, init=False)
    """A row has come that may fill the gap."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def heard(self, event: pb.Event) -> None:
        """The engine says that messages are missing, or that none are. When this returns, it is noted. Raises TermLost."""
        async with self._turn:
            await self._know()
            if event.WhichOneof("kind") == "backlog":
                await self._delivered(event.backlog)
            else:
                await self._await(awaited_row(self.telling.account.term.account, event.awaited), event.awaited)

    def committed(self, row: WalRow) -> None:
        """A row of the account stands in the ingest log."""
        if self._gap is None:
            return
        if row.from_history or row.key in self._gap.awaited_keys:
            self._has_news = True

    async def close(self) -> None:
        """A person has given up what is missing. Raises TermLost."""
        async with self._turn:
            await self._know()
            if self._gap is not None:
                await self._close()

    def connected(self) -> None:
        """The phone is asked again."""
        self._beats_to_asking = 0

    async def run(self) -> None:
        """Looks with each heartbeat, until it is cancelled. Raises TermLost."""
        while True:
            async with self._turn:
                await self._look()
            await asyncio.sleep(self.beat_s)

    async def _know(self) -> None:
        """What the owner before has noted. Raises TermLost."""
        while not self._is_known:
            account = self.telling.account
            account.term.check()
            state = account.db.collection(schema.ACCOUNTS).document(account.term.account)
            try:
                found = await state.collection(schema.PRIVATE).document(schema.PRIVATE_STATE).get(
                    retry=None, timeout=account.call_s
                )  # fmt: skip
            except UNAVAILABLE as error:
                log.account_not_written(account.term.account, error)
                await asyncio.sleep(min(1.0, self.beat_s))
                continue
            self._gap = self._certain(parse_gap((found.to_dict() or {}).get(FIELD)))
            self._is_known, self._has_news = True, self._gap is not None

    def _certain(self, gap: Gap | None) -> Gap | None:
        """A gap that an owner before has noted of the announced number alone is filled, if that number is not trusted now."""
        if gap is None or self.trusts_announced or gap.awaited:
            return gap
        return replace(gap, lost=0)

    async def _delivered(self, backlog: pb.BacklogDelivered) -> None:
        log.backlog_delivered(self.telling.account.term.account, backlog.announced, backlog.lost, backlog.undecrypted)
        metrics.BACKLOG_ANNOUNCED.inc(backlog.announced)
        metrics.BACKLOG_LOST.inc(backlog.lost)
        if not self.trusts_announced:
            return
        if self._gap is not None and backlog.connected_at_unix_ms <= self._gap.heard_ms:
            return  # noted, but not acknowledged, by an owner before
        if backlog.lost:
            began = datetime.fromtimestamp(backlog.began_at_unix_ms / 1000, UTC)
            end = datetime.fromtimestamp(backlog.connected_at_unix_ms / 1000, UTC)
            start, heard_ms = await self._synced_before(began), backlog.connected_at_unix_ms
            self._join(Gap(start=start, end=end, lost=backlog.lost, heard_ms=heard_ms))
            await self._tell_gap()

    async def _await(self, row: EventId, message: pb.MessageAwaited) -> None:
        sent = datetime.fromtimestamp(message.timestamp_s, UTC)
        missing = Gap(start=sent, end=max(sent, datetime.now(UTC)), awaited=frozenset({row}))
        if await self._has_come(missing):
            return
        if self._gap is None or not self._gap.awaited:
            self._awaited_beats = 0
        self._join(missing)
        self._has_news = True  # it may have come meanwhile
        assert self._gap is not None
        await self.telling.tell(None, {}, private={FIELD: self._gap.document()})

    def _join(self, gap: Gap) -> None:
        self._gap = gap if self._gap is None else self._gap.joined(gap)

    async def _look(self) -> None:
        await self._know()
        if self._gap is None:
            return
        self._awaited_beats += 1
        if self._has_news:
            self._has_news = False
            await self._fill()
        if self._gap is None:
            return
        stands = self.telling.account.degradation.stands(Cause.GAP)
        if not stands and (self._gap.lost or self._awaited_beats > _GRACE_BEATS):
            await self._tell_gap()
        if self.telling.account.degradation.stands(Cause.GAP) and self.is_connected():
            await self._ask()

    async def _ask(self) -> None:
        self._beats_to_asking -= 1
        if self._beats_to_asking > 0:
            return
        self._beats_to_asking = _ASK_AGAIN_BEATS
        account = self.telling.account
        try:
            await ask_for_history(account.db, self.engine, account.term, account.call_s)
        except EngineFailed as error:
            log.engine_failed(account.term.account, "asking for history", error)
        except UNAVAILABLE as error:
            log.account_not_written(account.term.account, error)

    async def _fill(self) -> None:
        """Closes the gap where the ingest log holds as much as was missing."""
        assert self._gap is not None
        try:
            standing = await self._standing(self._gap)
            from_history = await self._from_history(self._gap)
        except UNAVAILABLE as error:
            log.account_not_written(self.telling.account.term.account, error)
            self._has_news = True
            return
        if self._gap.is_filled(standing, from_history):
            await self._close()

    async def _close(self) -> None:
        log.gap_closed(self.telling.account.term.account)
        self._gap = None
        account = self.telling.account
        await self.telling.tell(None, account.degradation.end(Cause.GAP) | _NO_GAP, private={FIELD: None})
        await self.telling.resolve(Condition.GAP)

    async def _tell_gap(self) -> None:
        assert self._gap is not None
        words = self._gap.words()
        log.gap_found(self.telling.account.term.account, self._gap.lost, len(self._gap.awaited))
        fields = self.telling.account.degradation.begin(Cause.GAP, words)
        fields |= {"syncGapStartAt": self._gap.start, "syncGapEndAt": self._gap.end}
        await self.telling.tell(None, fields, private={FIELD: self._gap.document()})
        await self.telling.alert(Condition.GAP, words)
        self._beats_to_asking = 0

    # What stands in the ingest log

    async def _synced_before(self, began: datetime) -> datetime:
        """When the last row came that stands from before the connect: lastSyncedAt as it was. Without one, a day before."""
        account = self.telling.account
        while True:
            account.term.check()
            try:
                query = newest_rows_before(account.db, account.term.account, began, 1)
                rows = await query.get(retry=None, timeout=account.call_s)
            except UNAVAILABLE as error:
                log.account_not_written(account.term.account, error)
                await asyncio.sleep(min(1.0, self.beat_s))
                continue
            received = rows[0].get("receivedAt") if rows else began - timedelta(days=1)
            return received if isinstance(received, datetime) else began

    async def _standing(self, gap: Gap) -> dict[EventId, bool]:
        """The awaited rows whose message stands, under either name of its chat, and whether each came from history."""
        account = self.telling.account
        standing: dict[EventId, bool] = {}
        keys = sorted(gap.awaited_keys)
        for place in range(0, len(keys), _KEYS_A_QUERY):
            query = rows_of_keys(account.db, account.term.account, keys[place : place + _KEYS_A_QUERY])
            for found in await query.get(retry=None, timeout=account.call_s):
                row = found.to_dict() or {}
                payload = row.get("payload") or {}
                names = (row["chatId"], payload.get("chatJid"), payload.get("chatOtherJid"))
                for awaited in gap.awaited_keys[row["waMessageKey"]]:
                    if is_named(awaited, [name for name in names if isinstance(name, str)]):
                        standing[awaited] = row.get("fromHistory") is True
        return standing

    async def _from_history(self, gap: Gap) -> int:
        account = self.telling.account
        query = history_rows_of_time(account.db, account.term.account, gap.start - CLOCKS, gap.end + CLOCKS)
        ((counted,),) = await AsyncAggregationQuery(query).count().get(retry=None, timeout=account.call_s)
        return int(counted.value)

    async def _has_come(self, missing: Gap) -> bool:
        """Whether all that is awaited stands. Raises TermLost."""
        account = self.telling.account
        while True:
            account.term.check()
            try:
                return (await self._standing(missing)).keys() >= missing.awaited
            except UNAVAILABLE as error:
                log.account_not_written(account.term.account, error)
                await asyncio.sleep(min(1.0, self.beat_s))
