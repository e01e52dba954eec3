"""python -m tests.fuzz [--seed N] [--seconds S] [--store sqlite|postgres]: `make fuzz`. Status 1 with findings."""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from local import engine_build, postgres
from local.processes import Processes
from tests.engine.conftest import link
from tests.engine.running import RunningEngine
from tests.fuzz.campaign import Campaign, Report
from tests.whatsapp import WhatsAppServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="postgres")
    options = parser.parse_args()
    engine_build.build()
    with ExitStack() as stack:
        if options.store == "postgres":
            processes = stack.enter_context(Processes(purpose="fuzz", ends_with_parent=True))
            store = stack.enter_context(postgres.running(processes)).create("fuzz")
        else:
            store = f"sqlite:{Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'sessions.db'}"
        report = asyncio.run(_run(store, options.seed, options.seconds))
    sys.stdout.write(f"store {options.store}, {report}\n")
    return 1 if report.findings or report.crashes else 0


async def _run(store: str, seed: int, seconds: float) -> Report:
    server = WhatsAppServer()
    async with server, RunningEngine(store=store, environment=server.environment()) as engine:
        linked = await link(server, engine)
        return await Campaign(server=server, engine=engine, linked=linked, seed=seed).run(seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
