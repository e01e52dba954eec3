"""One account in this worker's hands, from the claim to the end of the term: renews the lease, heeds it, hands it over or fences."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connector import log, metrics
from connector.backoff import Backoff
from connector.engine import Engine, EngineFailed, SessionNotOpen
from connector.leases import HeldLease, LeaseChanged
from connector.sending import Sends
from connector.session import Session
from connector.store import UNAVAILABLE
from connector.term import Term, TermLost
from core.account import PAUSED, Command, Lease, Status
from core.hand_over import HandOverRequest
from core.timing import Timing

_RETRY_FIRST_S = 0.2
_DRAIN_PART = 5 / 8
"""Of a renewal's interval (5 s of 8): Cloud Run kills 10 s after SIGTERM, and what follows the draining takes its time, too."""

StartTask = Callable[[Coroutine[Any, Any, None]], object]


class _HandedOver(Exception):
    """The lease was given back: nothing is left to do."""


@dataclass(kw_only=True)
class Ownership:
    held: HeldLease
    session: Session
    sends: Sends
    engine: Engine
    timing: Timing
    releases: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Limits how many of this worker's accounts are closed and released in parallel."""
    yields_to: Callable[[HandOverRequest], bool] = lambda _request: False
    """Whether this worker must hand over to the worker that sent a request."""
    _must_read: bool = field(default=False, init=False)
    _standing: Command | None = field(default=None, init=False)
    """The lease's, as last read. It stands there until it is carried out: where its owner dies before, the next one does it."""
    _request: HandOverRequest | None = field(default=None, init=False)
    """The lease's hand-over request, as last read."""
    _refused: HandOverRequest | None = field(default=None, init=False)
    """The last request that this worker refused. It stays in the lease until the term ends."""
    _begun: Command | None = field(default=None, init=False)
    _done: Command | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def term(self) -> Term:
        return self.held.term

    def poke(self) -> None:
        """The lease is read at once: somebody wrote a command, or `wanted`."""
        self._must_read = True
        self._woken.set()

    def stop(self) -> None:
        """The account is handed over as soon as what is under way has ended."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Returns when the term has ended, in whichever way."""
        metrics.SESSIONS.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._fence_at_deadline())
                tasks.create_task(self.session.run())
                tasks.create_task(self._keep(tasks.create_task))
        except* _HandedOver:
            log.lease_released(self.term.account)
        except* TermLost as lost:
            metrics.LEASES_LOST.inc()
            log.lease_lost(self.term.account, _words(lost))
        finally:
            # After a failure that nobody foresaw, too: unrenewed, the lease runs out, and somebody claims it anew.
            self.term.end()
            self.session.fence()
            self.session.forget_status()
            await self._close_engine()
            metrics.SESSIONS.dec()

    async def _fence_at_deadline(self) -> None:
        await self.term.wait_for_end()
        raise TermLost("the lease was not renewed in time")

    async def _keep(self, start: StartTask) -> None:
        """Renews the lease and heeds what others write into it. Raises _HandedOver and TermLost."""
        backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=self.timing.lease_renew_s / 2)
        pause_s = self.timing.lease_renew_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            self._woken.clear()
            if self._stopping:
                await self._hand_over(None, "handed_over")
            try:
                await self._look_and_renew(start)
                start(self._extend())  # beside: an engine that does not answer must not hold up the next renewal
                backoff.reset()
                pause_s = self.timing.lease_renew_s
            except UNAVAILABLE as error:
                log.lease_not_renewed(self.term.account, error, self.term.seconds_left())
                pause_s = backoff.next_delay_s()

    async def _extend(self) -> None:
        """The lease is renewed, so the engine may go on, too. A call that fails is made up for by that of the next renewal."""
        try:
            await self.engine.extend(self.term)
        except SessionNotOpen:
            return  # its stream has ended, then, and it is opened again, with the term's end as it is by then
        except EngineFailed as error:
            log.engine_failed(self.term.account, "extend", error)

    async def _look_and_renew(self, start: StartTask) -> None:
        """The lease is read when somebody says so, or when its renewal shows that it was written."""
        while True:
            try:
                if self._must_read:
                    await self._heed_lease(start)
                await self._renew()
                return
            except LeaseChanged:
                self._must_read = True

    async def _renew(self) -> None:
        """With what the session has learnt, where there is something: a write of its own would cost as much as a heartbeat."""
        silence = self.session.silence
        learnt = silence.take_unstored(datetime.now(UTC))
        began = time.monotonic()
        try:
            await self.held.renew(clears_command=self._is_carried_out(), more=learnt)
        except BaseException as error:
            silence.put_back(learnt)
            metrics.LEASE_RENEWALS.labels("changed" if isinstance(error, LeaseChanged) else "failed").inc()
            raise
        metrics.LEASE_RENEWALS.labels("ok").inc()
        metrics.LEASE_RENEWAL_SECONDS.observe(time.monotonic() - began)

    async def _heed_lease(self, start: StartTask) -> None:
        """Reads the lease and does as it says. What fails is to be done again from the reading on."""
        self._must_read = False  # first: a poke that comes meanwhile asks for another reading
        try:
            await self._heed(await self.held.read(), start)
        except UNAVAILABLE:
            self._must_read = True
            raise

    async def _heed(self, lease: Lease, start: StartTask) -> None:
        self._standing, self._request = lease.command, lease.hand_over_to
        if not lease.wanted:
            await self._hand_over(Status.DISCONNECTED, PAUSED)
        is_refused_now = await self._heed_request(lease.hand_over_to)
        if lease.command is None:
            if not is_refused_now and not self.held.stands_as_written(lease):
                start(self.session.try_again())
        elif lease.command != self._begun:
            self._begun = lease.command
            start(self._carry_out(lease.command))

    async def _heed_request(self, request: HandOverRequest | None) -> bool:
        """Hands over if a newer instance asks. Returns whether a new request was refused."""
        if request is None or request == self._refused:
            return False
        if self.yields_to(request):
            await self._hand_over(None, "handed_over")
        self._refused = request
        return True

    async def _carry_out(self, command: Command) -> None:
        """One that failed is begun again with the next renewal; while the account is handed over, that is the next owner's."""
        succeeded = await self.session.carry_out(command)
        if command != self._begun:
            return  # another has taken its place in the lease
        if succeeded:
            self._done = command
            self._woken.set()
        else:
            self._begun = None
            self._must_read = True

    def _is_carried_out(self) -> bool:
        return self._standing is not None and self._standing == self._done

    async def _hand_over(self, status: Status | None, reason: str) -> None:
        """Drains, closes, tells, releases; in that order, so that the next owner finds nothing under way."""
        limit_s = min(self.timing.lease_renew_s * _DRAIN_PART, self.term.seconds_left() / 2)
        deadline_s = time.monotonic() + limit_s
        await self.sends.drain(limit_s)
        await self.session.drain(max(0.0, deadline_s - time.monotonic()))
        async with self.releases:
            await self._close_engine()
            await self.session.leave(status, reason)
            await self._release(is_paused=reason == PAUSED)
        raise _HandedOver

    async def _release(self, *, is_paused: bool) -> None:
        """Tries for as long as the term lasts. A command that was not carried out stays there for the next owner."""
        backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=self.timing.lease_renew_s / 2)
        must_read = False
        while True:
            try:
                if must_read:
                    lease = await self.held.read()
                    self._standing, self._request = lease.command, lease.hand_over_to
                    if not lease.wanted:  # nobody else will say so
                        is_paused = True
                        await self.session.leave(Status.DISCONNECTED, PAUSED)
                    must_read = False
                learnt = {"hearing": self.session.silence.stored(datetime.now(UTC))}
                more = learnt | self._without_idle_request(is_paused=is_paused)
                await self.held.release(clears_command=self._is_carried_out(), more=more)
                return
            except LeaseChanged:
                must_read = True
            except UNAVAILABLE as error:
                log.lease_not_renewed(self.term.account, error, self.term.seconds_left())
                await asyncio.sleep(backoff.next_delay_s())

    def _without_idle_request(self, *, is_paused: bool) -> dict[str, object]:
        """Ends a request for which the account is not given back: others would leave a free account to a worker that may be gone."""
        is_idle = self._request is not None and (is_paused or self._request == self._refused)
        return {"handOverTo": None} if is_idle else {}

    async def _close_engine(self) -> None:
        try:
            await self.engine.close(self.term)
        except EngineFailed as error:
            log.engine_failed(self.term.account, "close", error)


def _words(error: BaseException) -> str:
    """Our own exception's words, which quote nothing."""
    return _words(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else str(error)
