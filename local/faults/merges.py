"""The merges of a round: requests are kept back until their chat's threads are one, and processes are killed at the commit that joins them."""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from types import TracebackType
from typing import Self

from google.cloud.firestore import Client

from core import schema
from core.ids import ThreadId
from local.faults.cast import Cast, Chat, request_of
from local.production.clients import Cloud, FirestoreGate
from local.production.commits import CommitKind
from local.production.holds import Moment
from local.production.world import FUNCTION

_POLL_S = 0.02
_LOOK_S = 0.2
_LONGEST_HOLD_S = 0.3
"""So long others may work on the chat while the commit is held."""
_PLANS: Sequence[Sequence[Moment]] = (
    (Moment.BEFORE, Moment.AFTER),
    (Moment.BEFORE, Moment.BEFORE, Moment.AFTER),
    (Moment.BEFORE, Moment.BEFORE, Moment.BEFORE),
    (Moment.AFTER,),
)


@dataclass(kw_only=True)
class _Merge:
    """One chat's. `kills`: at which moments its merge is still to be killed. `hold_id`: the hold of the first of them."""

    chat: Chat
    kills: list[Moment]
    hold_id: int | None = None


@dataclass(kw_only=True)
class Merges:
    """Works beside a round, in a thread of its own, while its context is open."""

    cloud: Cloud
    gate: FirestoreGate
    db: Client
    cast: Cast
    seed: int
    kills: bool
    """Whether processes are killed at the commits of merges."""
    killed: dict[Moment, int] = field(default_factory=lambda: dict.fromkeys(Moment, 0), init=False)
    """How many processes were killed with the commit of a merge under way: before Firestore had it, and after, without its answer."""
    done: int = field(default=0, init=False)
    """Chats whose threads became one."""
    _stop: Event = field(default_factory=Event, init=False)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), init=False)
    _work: Future[None] = field(init=False)

    def __enter__(self) -> Self:
        merges = [
            _Merge(chat=chat, kills=list(_plan(self.seed, chat)) if self.kills else [])
            for chat in self.cast.chats
            if chat.merges
        ]
        for merge in merges:
            self._hold_next(merge)
            if merge.chat.waits:
                self.gate.refuse(FUNCTION, CommitKind.ATTEMPT, document=_first_request(merge.chat))
        self._work = self._pool.submit(self._run, merges)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is held and kept back any more. Raises what the thread met."""
        self._stop.set()
        failure = self._work.exception()
        self._pool.shutdown()
        self.gate.release()
        if failure is not None and problem is None:
            raise failure

    def _run(self, merges: Sequence[_Merge]) -> None:
        unfinished, look_at = list(merges), 0.0
        while not self._stop.wait(_POLL_S):
            self._kill_callers(merges)
            if time.monotonic() > look_at:
                unfinished, look_at = self._unfinished(unfinished), time.monotonic() + _LOOK_S
        self._unfinished(unfinished)

    def _kill_callers(self, merges: Sequence[_Merge]) -> None:
        callers = self.gate.callers()
        for merge in merges:
            if merge.hold_id in callers:
                self._kill(merge, callers[merge.hold_id])

    def _kill(self, merge: _Merge, caller_port: int) -> None:
        """What was held is not let go: a commit that Firestore has not got is gone with its caller."""
        moment = merge.kills.pop(0)
        time.sleep(_LONGEST_HOLD_S * _drawn(self.seed, f"{merge.chat.index}|{len(merge.kills)}"))
        if self.cloud.kill_caller(caller_port) is not None:  # else another fault was faster
            self.killed[moment] += 1
        self._hold_next(merge)

    def _hold_next(self, merge: _Merge) -> None:
        merge.hold_id = None
        if merge.kills:
            document = merge.chat.former_thread_id
            merge.hold_id = self.gate.hold(FUNCTION, CommitKind.MERGE, merge.kills[0], document=document)

    def _unfinished(self, merges: Sequence[_Merge]) -> list[_Merge]:
        """Those whose threads are still two. Of the others, what was kept back may leave."""
        threads = self.db.collection(schema.THREADS)
        former = {merge.chat.former_thread_id: merge for merge in merges}
        left = []
        for snapshot in self.db.get_all([threads.document(name) for name in former]):
            merge = former[ThreadId(snapshot.id)]
            if (snapshot.to_dict() or {}).get("mergedInto") is None:
                left.append(merge)
                continue
            self.done += 1
            if merge.chat.waits:
                self.gate.allow(FUNCTION, CommitKind.ATTEMPT, document=_first_request(merge.chat))
        return left


def _first_request(chat: Chat) -> str:
    """What stands before all others of the chat's queue."""
    return request_of(chat, 0).request_id


def _plan(seed: int, chat: Chat) -> Sequence[Moment]:
    return _PLANS[int(_drawn(seed, f"{chat.index}") * len(_PLANS))]


def _drawn(seed: int, occasion: str) -> float:
    """From 0 to 1, the same in each run of the seed."""
    digest = hashlib.blake2b(f"{seed}|merge|{occasion}".encode(), digest_size=7).digest()
    return float(int.from_bytes(digest) / 2**56)
