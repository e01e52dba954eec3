"""The sweep of the ingest log: rows that no trigger took up, and those that wait for their message."""

import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from backend import queries
from backend.fair import PAGE, FairLook, Waiting, in_turns
from backend.ingest import Ingest
from backend.steps import Steps
from backend.stores import Conflict, Document, Stored, Stores
from core import inbound, schema
from core.account import NEVER
from core.errors import ErrorCode, described
from core.ids import AccountId, ChatId, EventId, WaMessageId
from core.inbound import NotUnderstood, ReceiptReceived
from core.timing import Timing

_COMMITS_A_TURN = 2
"""Of a chat: then the next one has its turn, however much is left of this one."""
_MOST_TURNS = 30
"""Of a chat in one run: others may be faster each time."""

Chat = tuple[AccountId, ChatId]


@dataclass(kw_only=True)
class SweptRows:
    rows: int = 0
    """That are done."""
    chats: int = 0
    refused: int = 0
    early: int = 0
    """That go on waiting for their message."""
    parked: int = 0
    """Of the early ones, those that wait apart from now on."""
    late_accounts: set[AccountId] = field(default_factory=set)
    """With a row that has waited for longer than the limit of a backlog: before this run took it up."""

    @property
    def moved(self) -> int:
        return self.rows + self.refused + self.parked


class RowSweep:
    """Idempotent; a second run beside it does no harm."""

    def __init__(self, stores: Stores, timing: Timing, ingest: Ingest) -> None:
        self._stores = stores
        self._timing = timing
        self._ingest = ingest
        waiting = Waiting(
            time_field="receivedAt",
            oldest=partial(queries.unprocessed_rows, stores.db),
            by_account=partial(queries.unprocessed_rows_by_account, stores.db),
            of_account_from=partial(queries.unprocessed_rows_of_account_from, stores.db),
        )
        self._look = FairLook(stores=stores, waiting=waiting)

    def run(self, steps: Steps, at: datetime) -> SweptRows:
        """Looks again as long as there is more than was looked at, something moves, and there is time."""
        swept, stop_at = SweptRows(), time.monotonic() + self._timing.sweep_budget_s
        while self._pass(swept, steps, at, stop_at) and self._look.is_crowded and time.monotonic() < stop_at:
            pass
        return swept

    def _pass(self, swept: SweptRows, steps: Steps, at: datetime, stop_at: float) -> bool:
        """Chats are drained a little at a time in turns; a row that cannot be understood is marked, so that it is not met again.
        Whether anything has moved."""
        moved_before = swept.moved
        before = at - timedelta(seconds=self._timing.sweep_age_s)
        late_before = at - timedelta(seconds=self._timing.backlog_after_s)
        chats: dict[AccountId, dict[Chat, None]] = defaultdict(dict)
        receipts: dict[EventId, Stored[Document]] = {}
        for page in self._look.pages(before):
            for stored in page.documents:
                row = steps.result("parse", partial(inbound.parse_row, stored.id, stored.value))
                if row is None:
                    continue
                if isinstance(row, NotUnderstood):
                    take = partial(self._ingest.take, stored.id, stored.value, stored.update_time)
                    swept.refused += steps.take("refuse", take)
                    continue
                chats[row.account_id][row.account_id, row.chat_id] = None
                if row.received_at < late_before:
                    swept.late_accounts.add(row.account_id)
                if isinstance(row, ReceiptReceived):
                    receipts[row.event_id] = stored
        early = self._drain(in_turns([list(of_account) for of_account in chats.values()]), swept, steps, stop_at)
        self._park([receipts[event] for event in sorted(early) if event in receipts], swept, steps, at)
        return swept.moved > moved_before

    def look_at_parked(self, steps: Steps, at: datetime) -> int:
        """A page of those that wait apart, the oldest first; where there are more, a page from somewhere among them as well. How
        many are done now."""
        rows = self._stores.find(queries.parked_rows(self._stores.db, NEVER, PAGE))
        if len(rows) == PAGE:
            since = rows[-1].value["receivedAt"]
            somewhere = since + (at - since) * random.random()  # noqa: S311 - spreads looks, guards nothing
            rows += self._stores.find(queries.parked_rows(self._stores.db, somewhere, PAGE))
        of_id = {each.id: each for each in rows}
        given_up_before = at - timedelta(seconds=self._timing.early_event_give_up_s)
        done = {each.id for each in rows if each.value["receivedAt"] < given_up_before} | self._with_message(rows)
        return sum(steps.take("parked", partial(self._ingest.take_parked, of_id[event])) for event in sorted(done))

    def _drain(self, chats: Iterable[Chat], swept: SweptRows, steps: Steps, stop_at: float) -> set[EventId]:
        """The answer is the rows that came before their message."""
        early, turns, waiting = set[EventId](), Counter[Chat](), deque(chats)
        while waiting and time.monotonic() < stop_at:
            chat = waiting.popleft()
            turns[chat] += 1
            drained = steps.result("drain", partial(self._ingest.drain, *chat, _COMMITS_A_TURN))
            if drained is None:
                continue
            early |= drained.early
            swept.rows += drained.done
            if not drained.is_finished and turns[chat] < _MOST_TURNS:
                waiting.append(chat)
        swept.chats += len(turns)
        swept.early += len(early)
        return early

    def _park(self, early: Sequence[Stored[Document]], swept: SweptRows, steps: Steps, at: datetime) -> None:
        """Receipts that have waited for long leave the rows that are looked at each minute, where they would hide others."""
        before = at - timedelta(seconds=self._timing.early_event_park_s)
        old = [stored for stored in early if stored.value["receivedAt"] < before]
        for start in range(0, len(old), PAGE):
            some = old[start : start + PAGE]
            if steps.result("park", partial(self._is_parked, some)):
                swept.parked += len(some)
                continue
            # Somebody has just taken one of them up.
            swept.parked += sum(bool(steps.result("park", partial(self._is_parked, [stored]))) for stored in some)

    def _is_parked(self, rows: Sequence[Stored[Document]]) -> bool:
        commit = self._stores.commit()
        error = described(
            ErrorCode.MESSAGE_MISSING, "its message does not stand yet; it waits apart, and is looked at again"
        )
        for stored in rows:
            commit.update(
                schema.INGEST, stored.id, {"processed": None, "lastProcessError": error}, at=stored.update_time
            )
        try:
            commit.run()
        except Conflict:
            return False
        return True

    def _with_message(self, rows: Sequence[Stored[Document]]) -> set[str]:
        """The rows whose message stands by now. Those that are no receipts do not belong here, and are taken up too."""
        targets: dict[WaMessageId, str] = {}
        others = set[str]()
        for stored in rows:
            row = inbound.parse_row(stored.id, stored.value)
            if isinstance(row, ReceiptReceived):
                targets[row.message_id] = stored.id
            else:
                others.add(stored.id)
        return others | {targets[found] for found in self._stores.standing(targets)}
