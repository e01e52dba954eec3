"""What every local server process does alike: say that it serves, and end when it is asked to."""

import asyncio
import signal

from aiohttp import web

HOST = "127.0.0.1"


async def serve_until_terminated(ready: str) -> None:
    """Prints `ready <what>` for whoever waits for this process, and returns on SIGTERM or SIGINT."""
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, terminated.set)
    print(f"ready {ready}", flush=True)
    await terminated.wait()


async def start_http(application: web.Application, port: int) -> web.AppRunner:
    """Serves an application on the loopback address. The caller awaits the runner's `cleanup`."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner
