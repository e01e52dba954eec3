"""Plays Cloud Scheduler: posts {} to a scheduled function each minute.

    python -m local.scheduler --url URL [--interval-s 60]

TIME_SCALE scales the interval. A run that takes longer than the interval delays the next one; a run that fails is told on
standard error, and the next minute tries again.
"""

import argparse
import asyncio
import sys
from contextlib import suppress

import aiohttp

from local.serving import serve_until_terminated
from local.time_scale import time_scale

_RUN_TIMEOUT_S = 600.0


async def run_each(interval_s: float, url: str) -> None:
    """Never two runs at once. The first one begins after one interval."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_RUN_TIMEOUT_S)) as session:
        while True:
            due = max(due + interval_s, loop.time())
            await asyncio.sleep(due - loop.time())
            failure = await _run(session, url)
            if failure is not None:
                print(f"scheduled run failed: {failure}", file=sys.stderr, flush=True)


async def _run(session: aiohttp.ClientSession, url: str) -> str | None:
    """Why the run failed, or None."""
    try:
        async with session.post(url, json={}) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
    return None if response.ok else f"answered {response.status}"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.scheduler")
    parser.add_argument("--url", required=True)
    parser.add_argument("--interval-s", type=float, default=60.0)
    options = parser.parse_args()
    interval_s = options.interval_s * time_scale()
    runs = asyncio.create_task(run_each(interval_s, options.url))
    await serve_until_terminated(f"scheduler each {interval_s:g} s")
    runs.cancel()
    with suppress(asyncio.CancelledError):
        await runs


if __name__ == "__main__":
    asyncio.run(main())
