"""`python -m connector` whose search for free accounts fails at the first SIGUSR1, of something that nobody foresaw."""

import asyncio
import signal
import sys

from connector.__main__ import main
from connector.supervisor import Supervisor

_run = Supervisor.run


async def run(supervisor: Supervisor) -> None:
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, asked.set)
    looking = asyncio.create_task(_run(supervisor))
    await asked.wait()
    looking.cancel()
    raise ZeroDivisionError


if __name__ == "__main__":
    Supervisor.run = run  # type: ignore[method-assign, assignment]  # in this process alone
    sys.exit(main())
