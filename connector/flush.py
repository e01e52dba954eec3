"""Tells the functions that a session has opened, so that what waited for it is sent."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from google.auth.exceptions import GoogleAuthError

from connector import log, metrics
from connector.backoff import Backoff
from core import contract
from core.errors import ErrorCode
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

    async def diagnose(self, limit_s: float) -> dict[str, Any]:
        """Calls the flush function with a diagnosis, which changes nothing, and reports how the functions answer."""
        try:
            async with asyncio.timeout(limit_s), self._call({"diagnosis": True}, limit_s) as response:
                answer = _object(await response.json(content_type=None))
                status = response.status
        except GoogleAuthError:
            return {"outcome": "no_identity"}
        except (aiohttp.ClientError, TimeoutError):
            return {"outcome": "unreachable"}
        except ValueError:
            answer, status = {}, response.status
        if status == HTTPStatus.OK:
            return {"outcome": "answered", **{name: answer.get(name) for name in ("version", "build", "contract")}}
        code = _object(answer.get("error")).get("code")
        return {"outcome": "refused", "status": status, "code": code if code in list(ErrorCode) else None}

    async def _post(self, account: AccountId) -> int:
        async with self._call({"accountId": account}, self.timing.post_s) as response:
            if response.status != HTTPStatus.OK:
                raise _NotAccepted(response.status)
            threads = _object(await response.json(content_type=None)).get("threads")
            return threads if isinstance(threads, int) else 0

    @asynccontextmanager
    async def _call(self, body: Mapping[str, object], limit_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        identity = await asyncio.to_thread(self.tokens.headers, self.url)
        async with self.http.post(
            self.url,
            json=body,
            headers={**identity, contract.HEADER: str(contract.VERSION)},
            timeout=aiohttp.ClientTimeout(total=limit_s),
        ) as response:
            yield response

    def _forget(self, account: AccountId, done: asyncio.Task[None]) -> None:
        if self._tasks.get(account) is done:
            del self._tasks[account]


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
