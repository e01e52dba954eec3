"""Until when an owner may act: the terms of leases and the limits of sends, held against when the network took something.

The judge's other findings are about what came of it. These are about the guards themselves: an owner that goes on after its term does
no harm that anybody sees, as long as the other guards hold.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from google.cloud.firestore import Client

from core import schema
from core.account import Lease, parse_lease
from core.ids import AccountId
from local.faults.verdict import Broken, Finding
from local.network.account import End, Opening
from local.network.world import Frame

_ON_ITS_WAY_S = 0.5
"""From a process's last look to the time that the network writes down: both run on one busy machine. A lease of the campaign lives
0.9 s longer than its owner's term, so a stanza that was late on its way is found here only if it took 1.4 s."""
_TOLD_LIMIT_S = 30.0
_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Version:
    """A lease as it stood from `since_s` on, in seconds since 1970; its times are the network's, whatever its owner's clock said."""

    since_s: float
    lease: Lease


@dataclass(frozen=True, kw_only=True)
class Login:
    """A connection that an account's session logged in on, and when stanzas were taken from it; in seconds since 1970."""

    account: AccountId
    began_s: float
    taken_s: Sequence[float]


class HistoryMissed(Exception):
    """The listener did not tell of an account's lease, or not any more: nothing can be said of its terms."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """A POST that asked for a frame, and until when: `notAfter`, as the clock of its connector says it. In seconds since 1970."""

    from_s: float
    until_s: float


class LeaseHistory:
    """Each version of each lease that Firestore tells a listener of, with the time of its commit.

    `clocks_ahead_s`: how far an owner's wall clock is ahead of the network's, by its endpoint.
    """

    def __init__(self, db: Client, clocks_ahead_s: Mapping[str, float]) -> None:
        self._db = db
        self._clocks_ahead_s = clocks_ahead_s
        self._lock = threading.Lock()
        self._versions: dict[AccountId, list[Version]] = {}

    def __enter__(self) -> Self:
        self._watch = self._db.collection(schema.LEASES).on_snapshot(self._changed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.unsubscribe()

    def versions(self, accounts: Collection[AccountId]) -> Mapping[AccountId, Sequence[Version]]:
        """Raises HistoryMissed where what the listener told last is not what stood when it was asked."""
        for account in accounts:
            stored = self._db.collection(schema.LEASES).document(account).get()
            deadline = time.monotonic() + _TOLD_LIMIT_S
            while not self._knows(account, stored.update_time.timestamp()):
                if time.monotonic() > deadline:
                    raise HistoryMissed(f"a lease's listener told nothing for {_TOLD_LIMIT_S:.0f} s")
                time.sleep(_POLL_S)
        with self._lock:
            return {account: list(self._versions[account]) for account in accounts}

    def _knows(self, account: AccountId, since_s: float) -> bool:
        with self._lock:
            versions = self._versions.get(account, [])
            return any(version.since_s >= since_s for version in versions[-1:])

    def _changed(self, _documents: object, changes: Iterable[Any], _read_at: datetime) -> None:
        with self._lock:
            for change in changes:
                document = change.document
                lease = in_network_time(parse_lease(document.to_dict() or {}), self._clocks_ahead_s)
                version = Version(since_s=document.update_time.timestamp(), lease=lease)
                self._versions.setdefault(AccountId(document.id), []).append(version)


def in_network_time(lease: Lease, clocks_ahead_s: Mapping[str, float]) -> Lease:
    """With its end and its last claim, which its owner's clock gave. The claims before it are left: they may be others'."""
    ahead = timedelta(seconds=clocks_ahead_s.get(lease.endpoint or "", 0.0))
    claims = (*lease.recent_claims[:-1], *(at - ahead for at in lease.recent_claims[-1:]))
    return replace(lease, lease_until=lease.lease_until - ahead, recent_claims=claims)


def outside_terms(logins: Iterable[Login], leases: Mapping[AccountId, Sequence[Version]]) -> Iterator[Finding]:
    """A finding for each login from which something was taken while no lease was held that it had been opened under."""
    for login in logins:
        versions = leases.get(login.account, ())
        late = [at for at in login.taken_s if versions and not _is_covered(at, login, versions)]
        if late:
            what = f"{len(late)} times something came from a session, {_since(late[0], versions):.1f} s after its term"
            yield Finding(broken=Broken.DUPLICATED, where="an owner after its term", what=what)


def _is_covered(at_s: float, login: Login, versions: Sequence[Version]) -> bool:
    """A lease was held at some moment on the stanza's way, by one who had claimed it before the login."""
    sent_s = at_s - _ON_ITS_WAY_S
    first, last = (bisect_right(versions, moment, key=lambda version: version.since_s) for moment in (sent_s, at_s))
    return any(
        version.lease.owner is not None
        and version.lease.lease_until.timestamp() >= sent_s
        and version.lease.recent_claims[-1].timestamp() <= login.began_s
        for version in versions[max(0, first - 1) : last]
    )


def _since(at_s: float, versions: Sequence[Version]) -> float:
    """Since when the lease is free, expired, or another's."""
    version = versions[max(0, bisect_right(versions, at_s, key=lambda version: version.since_s) - 1)]
    if version.lease.owner is None:
        return at_s - version.since_s
    until_s = version.lease.lease_until.timestamp()
    return at_s - (until_s if until_s < at_s else version.lease.recent_claims[-1].timestamp())


def taken_over(openings: Iterable[Opening]) -> Iterator[Finding]:
    """A finding for each session that was open still when another owner came: over the simulated network, which sees epochs."""
    for opening in openings:
        if opening.ended_by is End.TAKEN_OVER:
            what = f"its session under epoch {opening.epoch} was open when another owner came"
            yield Finding(broken=Broken.DUPLICATED, where="an owner after its term", what=what)


def late_frames(frames: Collection[Frame], allowed: Mapping[str, Sequence[Allowed]]) -> Iterator[Finding]:
    """A finding for each frame that came after the limit of every POST that asked for it until then, by waMessageKey."""
    for frame in frames:
        asked = [each.until_s for each in allowed.get(frame.whatsapp_id, ()) if each.from_s <= frame.recorded_at]
        if asked and frame.recorded_at - _ON_ITS_WAY_S > max(asked):
            what = f"a frame {frame.recorded_at - max(asked):.1f} s after the last limit of its sends"
            yield Finding(broken=Broken.DUPLICATED, where="a send after its claim", what=what)
