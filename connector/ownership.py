"""One account in this worker's hands, from the claim to the end of the term: renews the lease, heeds it, hands it over or fences."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connector import log, metrics
from connector.backoff import Backoff
from connector.engine import Engine, EngineFailed
from connector.leases import HeldLease, LeaseChanged
from connector.sending import Sends
from connector.session import Session
from connector.store import UNAVAILABLE
from connector.term import Term, TermLost
from core.account import Lease, Status
from core.timing import Timing

_RETRY_FIRST_S = 0.2

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
    _must_read: bool = field(default=False, init=False)
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
                backoff.reset()
                pause_s = self.timing.lease_renew_s
            except UNAVAILABLE as error:
                log.lease_not_renewed(self.term.account, error, self.term.seconds_left())
                pause_s = backoff.next_delay_s()

    async def _look_and_renew(self, start: StartTask) -> None:
        """The lease is read when somebody says so, or when its renewal shows that it was written."""
        while True:
            try:
                if self._must_read:
                    lease = await self.held.read()
                    self._must_read = False
                    await self._heed(lease, start)
                await self.held.renew()
                return
            except LeaseChanged:
                self._must_read = True

    async def _heed(self, lease: Lease, start: StartTask) -> None:
        if not lease.wanted:
            await self._hand_over(Status.DISCONNECTED, "paused")
        if lease.command is None:
            start(self.session.try_again())
            return
        await self.held.renew(clears_command=True)
        start(self.session.carry_out(lease.command))

    async def _hand_over(self, status: Status | None, reason: str) -> None:
        """Drains, closes, tells, releases; in that order, so that the next owner finds nothing under way."""
        # Cloud Run kills 10 s after SIGTERM: this leaves time for what follows.
        limit_s = min(self.timing.lease_renew_s, self.term.seconds_left() / 2)
        await self.sends.drain(limit_s)
        await self.session.drain(limit_s)
        await self._close_engine()
        await self.session.leave(status, reason)
        backoff = Backoff(first_s=_RETRY_FIRST_S, max_s=self.timing.lease_renew_s / 2)
        while True:
            try:
                await self.held.release()
            except LeaseChanged:
                await self.held.read()
            except UNAVAILABLE as error:
                log.lease_not_renewed(self.term.account, error, self.term.seconds_left())
                await asyncio.sleep(backoff.next_delay_s())
            else:
                raise _HandedOver

    async def _close_engine(self) -> None:
        try:
            await self.engine.close(self.term)
        except EngineFailed as error:
            log.engine_failed(self.term.account, "close", error)


def _words(error: BaseException) -> str:
    """Our own exception's words, which quote nothing."""
    return _words(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else str(error)
