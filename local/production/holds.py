"""Commits that are held on their way: whoever asked for it kills or freezes their callers meanwhile, and lets them go."""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum

from local.production.commits import CommitKind, kinds_of


class Moment(StrEnum):
    BEFORE = "before"
    """Firestore has not got the commit."""
    AFTER = "after"
    """The commit stands, its caller has no answer."""


@dataclass(eq=False, kw_only=True)
class Hold:
    """The `left`-th matching commit of a client from now on is held until it is released."""

    hold_id: int
    client: str
    kind: CommitKind
    moment: Moment
    left: int
    document: str
    """A part of the path of what is written; empty: whatever it is."""
    has_met: bool = False
    """A commit is held, or was until its caller went away."""
    caller_port: int = 0
    """The port of the caller's connection, when it has met."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, caller_port: int) -> None:
        self.has_met, self.caller_port = True, caller_port
        await self.released.wait()


class Holds:
    def __init__(self) -> None:
        self._holds: dict[int, Hold] = {}
        self._made = 0
        self._refused: set[tuple[str, CommitKind, str]] = set()

    def add(self, client: str, kind: CommitKind, moment: Moment, passes: int, document: str) -> Hold:
        self._made += 1
        hold = Hold(hold_id=self._made, client=client, kind=kind, moment=moment, left=passes, document=document)
        self._holds[hold.hold_id] = hold
        return hold

    def refuse(self, client: str, kind: CommitKind, document: str) -> None:
        """Firestore is not available for such commits of this client until they are allowed, or everything is released."""
        self._refused.add((client, kind, document))

    def allow(self, client: str, kind: CommitKind, document: str) -> None:
        self._refused.discard((client, kind, document))

    def refuses(self, client: str, commit: bytes) -> bool:
        refused = [(kind, document) for of, kind, document in self._refused if of == client]
        return any(kind in kinds_of(commit, document) for kind, document in refused)

    def has_met(self, hold_id: int) -> bool:
        hold = self._holds.get(hold_id)
        return hold is not None and hold.has_met

    def met(self) -> list[Hold]:
        return [hold for hold in self._holds.values() if hold.has_met]

    def release(self, hold_id: int | None) -> None:
        """Lets go what is held, and holds nothing more. None: all."""
        if hold_id is None:
            self._refused.clear()
        for known in [hold_id] if hold_id is not None else list(self._holds):
            if (hold := self._holds.pop(known, None)) is not None:
                hold.released.set()

    def take(self, client: str, commit: bytes) -> Hold | None:
        """The hold that this commit meets. Commits are looked into only while one of their client is waited for."""
        met = None
        for hold in self._holds.values():
            if hold.client == client and hold.left > 0 and hold.kind in kinds_of(commit, hold.document):
                hold.left -= 1
                if hold.left == 0 and met is None:
                    met = hold
        return met
