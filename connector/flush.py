"""Tells the functions that a session has opened, so that what waited for it is sent."""

import asyncio
from dataclasses import dataclass, field

import aiohttp
from google.auth.exceptions import GoogleAuthError

from connector import log, metrics
from connector.backoff import Backoff
from core import contract
from core.ids import AccountId
from core.timing import Timing
from identity.tokens import IdentityTokens

_MAX_ATTEMPTS = 12
"""With the back-off of failed sends, some quarter of an hour; the sweeper takes up what still waits then."""


class _NotAccepted(Exception):
    """The functions answered something else than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(kw_only=True)
class Flusher:
    http: aiohttp.ClientSession
    tokens: IdentityTokens
    url: str
    timing: Timing
    _tasks: dict[AccountId, asyncio.Task[None]] = field(default_factory=dict, init=False)

    def request(self, account: AccountId) -> None:
        """Asks for a flush soon, and returns. One that is under way is begun anew: it may have looked too early."""
        under_way = self._tasks.get(account)
        if under_way is not None:
            under_way.cancel()
        task = asyncio.create_task(self._flush(account))
        self._tasks[account] = task
        task.add_done_callback(lambda done: self._forget(account, done))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _flush(self, account: AccountId) -> None:
        backoff = Backoff(first_s=self.timing.backoff_s, max_s=self.timing.backoff_max_s)
        for _ in range(_MAX_ATTEMPTS):
            try:
                threads = await self._post(account)
            except (aiohttp.ClientError, TimeoutError, GoogleAuthError, ValueError, _NotAccepted) as error:
                metrics.FLUSHES.labels("failed").inc()
                log.flush_failed(account, error)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                metrics.FLUSHES.labels("accepted").inc()
                log.flushed(account, threads)
                return

    async def _post(self, account: AccountId) -> int:
        identity = await asyncio.to_thread(self.tokens.headers, self.url)
        async with self.http.post(
            self.url,
            json={"accountId": account},
            headers={**identity, contract.HEADER: str(contract.VERSION)},
            timeout=aiohttp.ClientTimeout(total=self.timing.post_s),
        ) as response:
            if response.status != 200:
                raise _NotAccepted(response.status)
            answer = await response.json(content_type=None)
            threads = answer.get("threads") if isinstance(answer, dict) else None
            return threads if isinstance(threads, int) else 0

    def _forget(self, account: AccountId, done: asyncio.Task[None]) -> None:
        if self._tasks.get(account) is done:
            del self._tasks[account]
