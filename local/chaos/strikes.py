"""What is struck, and when: drawn by a hash of seed and number, so that a seed repeats its schedule."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from local.network.trouble import Break
from local.production.commits import CommitKind
from local.production.holds import Moment
from local.whatsapp import NetworkKind


class Group(StrEnum):
    """What `kinds=` chooses from."""

    KILLED = "killed"
    HANDED_OVER = "handed_over"
    FROZEN = "frozen"
    SOCKETS = "sockets"
    FIRESTORE = "firestore"
    FAULTS = "faults"
    PAIRING = "pairing"
    STOLEN = "stolen"
    """Only where it is asked for: no clock is so wrong."""


DEFAULT_GROUPS = tuple(group for group in Group if group is not Group.STOLEN)


class Kind(StrEnum):
    ENGINE_AT_POINT = "engine killed at a point"
    """It kills itself when it passes a point in its work for the n-th time (its test build has the points)."""
    ENGINE = "engine killed"
    CONNECTOR = "connector killed"
    """Its engine dies with it."""
    CONNECTOR_AT_COMMIT = "connector killed at a commit"
    FUNCTION_AT_OUTCOME = "function killed at an outcome"
    """Between a send's answer and the commit of what came of it, or between that commit and its answer."""
    HAND_OVER = "connector asked to end"
    FROZEN_CONNECTOR = "connector frozen"
    FROZEN_ENGINE = "engine frozen"
    FROZEN_BOTH = "connector and engine frozen"
    FROZEN_AT_POINT = "engine frozen at a point"
    """In the middle of a transaction of its store, for instance; its connector with it, or not."""
    FROZEN_AT_COMMIT = "connector frozen at a commit"
    """Which is carried out while its caller is frozen."""
    SOCKET = "connection broken"
    CUT = "connection cut between frame and ack"
    FIRESTORE_SHORT = "Firestore gone for a moment"
    FIRESTORE_LONG = "Firestore gone past the leases"
    FIRESTORE_FOR_ONE = "Firestore gone for one connector past its leases"
    FAULTS = "all kinds of make faults"
    PAIRING = "killed in a pairing"
    STOLEN = "lease given away"
    """It is free for the other connector while its owner is alive and in its term: the epoch alone stands between them."""


@dataclass(frozen=True, kw_only=True)
class _Share:
    group: Group
    share: float
    needs_engine: bool = False
    """The simulated network has no engine of a connector's own."""


_SHARES = {
    Kind.ENGINE_AT_POINT: _Share(group=Group.KILLED, share=0.16, needs_engine=True),
    Kind.ENGINE: _Share(group=Group.KILLED, share=0.05, needs_engine=True),
    Kind.CONNECTOR: _Share(group=Group.KILLED, share=0.07),
    Kind.CONNECTOR_AT_COMMIT: _Share(group=Group.KILLED, share=0.15),
    Kind.FUNCTION_AT_OUTCOME: _Share(group=Group.KILLED, share=0.05),
    Kind.HAND_OVER: _Share(group=Group.HANDED_OVER, share=0.07),
    Kind.FROZEN_CONNECTOR: _Share(group=Group.FROZEN, share=0.05),
    Kind.FROZEN_ENGINE: _Share(group=Group.FROZEN, share=0.04, needs_engine=True),
    Kind.FROZEN_BOTH: _Share(group=Group.FROZEN, share=0.05, needs_engine=True),
    Kind.FROZEN_AT_POINT: _Share(group=Group.FROZEN, share=0.05, needs_engine=True),
    Kind.FROZEN_AT_COMMIT: _Share(group=Group.FROZEN, share=0.05),
    Kind.SOCKET: _Share(group=Group.SOCKETS, share=0.09),
    Kind.CUT: _Share(group=Group.SOCKETS, share=0.03),
    Kind.FIRESTORE_SHORT: _Share(group=Group.FIRESTORE, share=0.04),
    Kind.FIRESTORE_LONG: _Share(group=Group.FIRESTORE, share=0.02),
    Kind.FIRESTORE_FOR_ONE: _Share(group=Group.FIRESTORE, share=0.03),
    Kind.FAULTS: _Share(group=Group.FAULTS, share=0.05),
    Kind.PAIRING: _Share(group=Group.PAIRING, share=0.03),
    Kind.STOLEN: _Share(group=Group.STOLEN, share=0.05),
}

POINTS = (
    "inbox.entry",
    "inbox.saved",
    "event.handed",
    "ack.before",
    "ack.after",
    "send.frame",
    "send.acked",
    "frame.write",
    "store.write",
    "store.held",
    "store.commit",
)
"""Where an engine is killed: see connector/engine/README.md."""
FREEZE_POINTS = (
    "inbox.saved",
    "ack.before",
    "frame.write",
    "store.begin",
    "store.write",
    "store.held",
    "store.looked",
    "store.commit",
)
"""Where it is frozen. After `store.looked` the epoch in the store alone stands between two owners."""
_MAX_OFTEN_PASSES = 40
"""Of what an engine passes many times while it starts and connects."""
COMMITS = (CommitKind.WAL, CommitKind.RENEWAL, CommitKind.CLAIM, CommitKind.RELEASE, CommitKind.ACCOUNT)
"""At which a connector is killed or frozen. A release is a hand-over's, a claim comes after one."""
_MAX_PASSES = 3
_MAX_DELAY_S = 0.8
SPARES = 25
"""So many strikes of a leg may meet nobody: where there are more, there is too little to strike."""

CLAIMS_RACED = "claim held until another's stood"

_KILLED_AT = [
    f"connector killed {moment} a commit: {commit}"
    for moment in Moment
    for commit in (CommitKind.WAL, CommitKind.RENEWAL, CommitKind.CLAIM, CommitKind.RELEASE)
]
_KILLED_BETWEEN = [
    CLAIMS_RACED,
    "connector killed in a pairing, after the code was entered",
    *(f"connector killed in a pairing, {moment} its state was told" for moment in Moment),
    *(f"function killed {moment} an outcome's commit" for moment in Moment),
    Kind.CUT,
]
_ENGINE_KILLED_AT = [f"engine killed at {point}" for point in ("ack.before", "ack.after", "send.frame", "send.acked")]


def points_to_meet(network: NetworkKind) -> list[str]:
    """What a thousand strikes of all groups must have struck at least once each: the moments at which a fault does most harm."""
    return [*_KILLED_AT, *_KILLED_BETWEEN, *(_ENGINE_KILLED_AT if network is NetworkKind.REAL else [])]


@dataclass(frozen=True, kw_only=True)
class Strike:
    """All of it is drawn for every strike; its kind says what counts."""

    number: int
    kind: Kind
    place: float
    """From 0 to 1: the account whose owner or connection is struck."""
    delay_s: float
    """From the moment that messages begin to move."""
    length: float
    """From 0 to 1: how long, between what the kind's shortest and longest are; or which of two."""
    point: str
    """Where an engine is killed, or (`freeze_point`) frozen."""
    freeze_point: str
    passes: int
    """From 1 to 3: the how maniest; or which of three."""
    commit: CommitKind
    moment: Moment
    how: Break
    fault_seed: int
    """Of what Firestore and everybody meet at random meanwhile."""

    @property
    def plan(self) -> str:
        """What the engine's test build reads when it starts."""
        is_frequent = self.point.startswith(("store.", "frame."))
        return f"{self.point}:{1 + int(self.length * _MAX_OFTEN_PASSES) if is_frequent else self.passes}"


def draw_strikes(
    seed: int, number: int, network: NetworkKind, groups: Collection[Group] = DEFAULT_GROUPS
) -> Sequence[Strike]:
    shares = {
        kind: share.share
        for kind, share in _SHARES.items()
        if share.group in groups and (network is NetworkKind.REAL or not share.needs_engine)
    }
    return [_draw(f"{seed}|{place}", place, shares) for place in range(number)]


def draw_legs(
    seed: int, number: int, network: NetworkKind, groups: Collection[Group] = DEFAULT_GROUPS, *, in_one: int
) -> Iterator[tuple[Sequence[Strike], Sequence[Strike]]]:
    """The strikes of each leg, and those that it has for others that meet nobody: numbered after the last leg's, each leg's for itself,
    so that no leg's schedule depends on what happened in another."""
    firsts = range(0, number, in_one)
    drawn = draw_strikes(seed, number + len(firsts) * SPARES, network, groups)
    for leg, first in enumerate(firsts):
        first_spare = number + leg * SPARES
        yield drawn[first : min(first + in_one, number)], drawn[first_spare : first_spare + SPARES]


def _draw(occasion: str, number: int, shares: dict[Kind, float]) -> Strike:
    def drawn(word: str) -> float:
        return int.from_bytes(hashlib.blake2b(f"{occasion}|{word}".encode(), digest_size=7).digest()) / 2**56

    which = drawn("kind") * sum(shares.values())
    *others, kind = shares
    for candidate in others:
        if which < shares[candidate]:
            kind = candidate
            break
        which -= shares[candidate]
    return Strike(
        number=number,
        kind=kind,
        place=drawn("place"),
        delay_s=drawn("delay") * _MAX_DELAY_S,
        length=drawn("length"),
        point=POINTS[int(drawn("point") * len(POINTS))],
        freeze_point=FREEZE_POINTS[int(drawn("freeze") * len(FREEZE_POINTS))],
        passes=1 + int(drawn("passes") * _MAX_PASSES),
        commit=COMMITS[int(drawn("commit") * len(COMMITS))],
        moment=tuple(Moment)[int(drawn("moment") * len(Moment))],
        how=tuple(Break)[int(drawn("how") * len(Break))],
        fault_seed=1 + int(drawn("faults") * 2**31),
    )
