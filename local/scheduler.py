"""The clock that the Emulator Suite lacks: calls a scheduled function at each full interval, as Cloud Scheduler does.

    python -m local.scheduler --url URL [--every SECONDS]

A call that fails is reported and not repeated: the next one comes.
"""

import argparse
import asyncio
import time

import aiohttp

from local.serving import serve_until_terminated

_CALL_LIMIT_S = 300.0


async def call_at_intervals(url: str, interval_s: float) -> None:
    limit = aiohttp.ClientTimeout(total=_CALL_LIMIT_S)
    async with aiohttp.ClientSession(timeout=limit) as session:
        while True:
            await asyncio.sleep(interval_s - time.time() % interval_s)
            try:
                async with session.post(url, json={}) as answer:
                    print(f"{url} answered {answer.status}", flush=True)
            except (aiohttp.ClientError, TimeoutError) as error:
                print(f"{url} failed: {type(error).__name__}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.scheduler")
    parser.add_argument("--url", required=True)
    parser.add_argument("--every", type=float, default=60.0, metavar="SECONDS")
    options = parser.parse_args()
    calls = asyncio.create_task(call_at_intervals(options.url, options.every))
    await serve_until_terminated(f"scheduler for {options.url}")
    calls.cancel()


if __name__ == "__main__":
    asyncio.run(main())
