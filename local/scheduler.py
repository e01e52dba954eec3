"""Plays Cloud Scheduler: posts {} to a scheduled function each minute.

    python -m local.scheduler --url URL [--interval-s 60] [--service-account EMAIL --tokens-url URL]

With a service account the calls carry its identity token in `Authorization`, for the url as audience, as the job that
`firebase deploy` creates does; --tokens-url is the identity server that issues it.

TIME_SCALE scales the interval. A run that takes longer than the interval delays the next one; a run that fails is told on
standard error, and the next minute tries again.
"""

import argparse
import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from local.issued_tokens import IssuedTokens
from local.serving import serve_until_terminated
from local.time_scale import time_scale

_RUN_TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is called, and as whom: None for nobody."""

    url: str
    service_account: str | None = None
    tokens_url: str | None = None

    async def headers(self, session: aiohttp.ClientSession) -> dict[str, str]:
        if self.service_account is None or self.tokens_url is None:
            return {}
        token = await IssuedTokens(self.tokens_url, session).token(self.service_account, self.url)
        return {"Authorization": f"Bearer {token}"}


async def run_each(interval_s: float, target: Target) -> None:
    """Never two runs at once. The first one begins after one interval."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_RUN_TIMEOUT_S)) as session:
        while True:
            due = max(due + interval_s, loop.time())
            await asyncio.sleep(due - loop.time())
            failure = await _run(session, target)
            if failure is not None:
                print(f"scheduled run failed: {failure}", file=sys.stderr, flush=True)


async def _run(session: aiohttp.ClientSession, target: Target) -> str | None:
    """Why the run failed, or None."""
    try:
        async with session.post(target.url, json={}, headers=await target.headers(session)) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
    return None if response.ok else f"answered {response.status}"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.scheduler")
    parser.add_argument("--url", required=True)
    parser.add_argument("--interval-s", type=float, default=60.0)
    parser.add_argument("--service-account")
    parser.add_argument("--tokens-url")
    options = parser.parse_args()
    target = Target(url=options.url, service_account=options.service_account, tokens_url=options.tokens_url)
    interval_s = options.interval_s * time_scale()
    runs = asyncio.create_task(run_each(interval_s, target))
    await serve_until_terminated(f"scheduler each {interval_s:g} s")
    runs.cancel()
    with suppress(asyncio.CancelledError):
        await runs


if __name__ == "__main__":
    asyncio.run(main())
