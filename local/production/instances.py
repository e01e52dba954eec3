"""A function's instances: process groups of functions-framework, each started again when it dies, as Cloud Run does."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from local import ports
from local.cloud_run.answers import NO_INSTANCE
from local.cloud_run.forwarding import PENDING_S
from local.production.manifest import PYTHON, DeployedFunction

_POLL_S = 0.02
_RESTART_PAUSE_S = 0.1

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`status` 0: the connection broke, so the function may have done its work or not."""

    status: int
    body: bytes = b""
    content_type: str = ""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


_NO_INSTANCE = Answer(status=NO_INSTANCE.status, body=NO_INSTANCE.body, content_type=NO_INSTANCE.content_type)


class Instance:
    """One process group on a port of its own."""

    def __init__(
        self, function: DeployedFunction, number: int, environment: Mapping[str, str], source: Path, logs: Path
    ) -> None:
        self.function = function
        self.port = ports.free_port()
        self.busy = 0
        self.pid = 0
        self.is_up = asyncio.Event()
        self._slots = asyncio.Semaphore(function.concurrency)
        self._source = source
        self._log = logs / f"function.{function.name}.{number}.log"
        self._environment = {
            **os.environ,
            **environment,
            "FUNCTION_TARGET": function.name,
            "FUNCTION_SIGNATURE_TYPE": function.signature,
            "FUNCTION_SOURCE": str(source / "main.py"),
            "K_SERVICE": function.name.replace("_", "-"),
            "HOST": ports.HOST,
            "PORT": str(self.port),
        }

    async def run(self, counters: Counter[str]) -> None:
        """Until it is cancelled; then the group is gone."""
        while True:
            with self._log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    PYTHON.parent / "functions-framework",
                    cwd=self._source,
                    env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.pid = process.pid
            counters[f"started_{self.function.name}"] += 1
            watcher = asyncio.create_task(self._become_up())
            try:
                await process.wait()
            finally:
                watcher.cancel()
                self.is_up.clear()
                self._kill_group()  # the worker must not outlive its master
            await asyncio.sleep(_RESTART_PAUSE_S)

    def kill(self, pid: int) -> bool:
        """SIGKILL to the group, if it is still the one that was meant."""
        if pid != self.pid or not self.is_up.is_set():
            return False
        self.is_up.clear()
        self._kill_group()
        return True

    def has_connection_from(self, port: int) -> bool:
        """Whether a process of the group has a connection whose own port is this one."""
        try:
            leader = psutil.Process(self.pid)
            group = [leader, *leader.children(recursive=True)]
            return any(
                each.laddr and each.laddr.port == port for process in group for each in process.net_connections("tcp")
            )
        except psutil.NoSuchProcess:
            return False

    async def post(self, session: aiohttp.ClientSession, path: str, headers: Headers, body: bytes) -> Answer:
        """Waits for a slot, since Cloud Run would start another instance, and up to PENDING_S for a process that takes the call."""
        self.busy += 1
        try:
            async with self._slots:
                return await self._post_when_up(session, path, headers, body)
        finally:
            self.busy -= 1

    async def _post_when_up(self, session: aiohttp.ClientSession, path: str, headers: Headers, body: bytes) -> Answer:
        """The time is not scaled: how long a process takes to start is not, either."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PENDING_S
        while loop.time() < deadline:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self.is_up.wait()
            if not self.is_up.is_set():
                break
            try:
                return await self._post_once(session, path, headers, body)
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(_POLL_S)  # it did not take the call: it is just ending, or beginning
        return _NO_INSTANCE

    async def _post_once(self, session: aiohttp.ClientSession, path: str, headers: Headers, body: bytes) -> Answer:
        limit = aiohttp.ClientTimeout(total=self.function.timeout_s)
        url = f"http://{ports.HOST}:{self.port}{path}"
        try:
            async with session.post(url, data=body, headers=headers, timeout=limit) as response:
                return Answer(status=response.status, body=await response.read(), content_type=response.content_type)
        except TimeoutError:
            return Answer(status=504)
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientError:
            return Answer(status=0)

    async def _become_up(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(ports.HOST, self.port)
            except OSError:
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                self.is_up.set()
                return

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Service:
    """All instances of one function; a call goes to the one that has least to do."""

    def __init__(self, function: DeployedFunction, instances: Sequence[Instance]) -> None:
        self.function = function
        self.instances = instances

    def choose(self) -> Instance:
        return min(self.instances, key=lambda instance: (not instance.is_up.is_set(), instance.busy))

    async def wait_until_up(self) -> None:
        for instance in self.instances:
            await instance.is_up.wait()
