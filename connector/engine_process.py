"""Runs the engine for this connector: starts it, notices its end or its silence, starts it again, and stops it when the connector stops."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector import log, metrics
from connector.backoff import Backoff
from connector.engine import Engine, connect_engine
from connector.engine_watch import EngineWatch
from connector.settings import EngineProgram, ServedEngine

_RESTART_FIRST_S = 0.1
_RESTART_MAX_S = 5.0
_SOUND_S = 1.0
"""An engine that has lived for so long is started again at once; one that ends sooner, later and later."""
_GRACE_S = 2.0
"""To end by itself after SIGTERM: its sessions are closed by then, and Cloud Run waits 10 s for everything."""
_LISTENING_POLL_S = 0.002
_LINE_BYTES = 256 * 1024


@asynccontextmanager
async def engine_of(where: ServedEngine | EngineProgram, call_s: float) -> AsyncIterator[Engine]:
    """The engine to call. It may be down at any time: `serving` tells."""
    if isinstance(where, ServedEngine):
        async with _connected(where.socket, call_s) as engine, _beside(_watch(engine)):
            yield engine
        return
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        socket = Path(folder) / "sock"
        async with _connected(socket, call_s) as engine:
            process = _EngineProcess(program=where, engine=engine, socket=socket)
            async with _beside(process.run()):
                yield engine


@asynccontextmanager
async def _connected(socket: Path, call_s: float) -> AsyncIterator[Engine]:
    engine = connect_engine(socket, call_s)
    engine.serving.clear()
    try:
        yield engine
    finally:
        await engine.channel.close(None)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Goes on until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(work)
        try:
            yield
        finally:
            running.cancel()


async def _watch(engine: Engine) -> None:
    """An engine that somebody else runs: it is waited for, whatever becomes of it."""
    watch = EngineWatch(engine=engine, call_s=engine.call_s)
    while True:
        await watch.until_silent()
        log.engine_silent()


@dataclass(frozen=True, kw_only=True)
class _EngineProcess:
    program: EngineProgram
    engine: Engine
    socket: Path

    async def run(self) -> None:
        """Keeps an engine running until it is cancelled; returns when the last one has ended."""
        backoff = Backoff(first_s=_RESTART_FIRST_S, max_s=_RESTART_MAX_S)
        while True:
            began = time.monotonic()
            status = await self._run_once()
            if time.monotonic() - began > _SOUND_S:
                backoff.reset()
            pause_s = backoff.next_delay_s()
            log.engine_ended(status, pause_s)
            metrics.ENGINE_RESTARTS.inc()
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> int | None:
        """The process's status when it has ended; None when it could not be started."""
        await self.engine.wait_until_lost()  # or the connection to the one before would pass for this one's
        try:
            process = await self._start()
        except OSError as error:
            log.engine_not_started(error)
            return None
        log.engine_started()
        telling = asyncio.create_task(_pass_on(process))
        watching = asyncio.create_task(self._kill_when_silent(process))
        try:
            return await process.wait()
        finally:
            watching.cancel()
            self.engine.serving.clear()
            await _end(process)
            await telling  # its last words

    async def _start(self) -> asyncio.subprocess.Process:
        self.socket.unlink(missing_ok=True)
        return await asyncio.create_subprocess_exec(
            self.program.binary,
            "--socket",
            self.socket,
            env={**os.environ, "ENGINE_STORE": self.program.store},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for the connector, which closes the sessions first
            limit=_LINE_BYTES,
        )

    async def _kill_when_silent(self, process: asyncio.subprocess.Process) -> None:
        """A frozen one would hold its sessions for as long as this connector renews their leases, and heeds no SIGTERM."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.engine.call_s):
                # gRPC waits 100 ms and more after a first try that fails.
                while not self.socket.exists():  # noqa: ASYNC110 # another process makes it
                    await asyncio.sleep(_LISTENING_POLL_S)
        await EngineWatch(engine=self.engine, call_s=self.engine.call_s).until_silent()
        if process.returncode is None:
            log.engine_silent()
            os.killpg(process.pid, signal.SIGKILL)


async def _pass_on(process: asyncio.subprocess.Process) -> None:
    """What the engine logs, until it has ended."""
    assert process.stderr is not None
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:
            continue  # longer than any line of a log: left out
        if not line:
            return
        log.engine_said(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks it to end, and makes it when it does not."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
        except TimeoutError:
            log.engine_killed()
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)  # what it may have started, too
    await process.wait()
