"""A running engine, and one account's events as a connector would follow them."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from connector.contract.engine_pb2_grpc import EngineStub
from local import engine_build

if TYPE_CHECKING:
    from connector.contract.engine_pb2_grpc import EngineAsyncStub

PATIENCE_S = 20.0
TERM_S = 600.0
"""Longer than any test."""
State = pb.SessionChanged
Outcome = pb.SendResponse

Found = TypeVar("Found")

_LISTENING_POLL_S = 0.002


class EngineEnded(Exception):
    """The process is gone."""


_OVER = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)


@dataclass(kw_only=True)
class RunningEngine:
    """An engine of the wiretest build, unless another program is named. `environment` comes on top of the server's."""

    store: str
    environment: Mapping[str, str]
    program: Path = engine_build.WIRETEST_ENGINE
    process: Process | None = field(default=None, init=False)
    log: list[str] = field(default_factory=list, init=False)
    started_at: float = field(default=0.0, init=False)
    _folder: "tempfile.TemporaryDirectory[str] | None" = field(default=None, init=False)
    _channel: grpc.aio.Channel | None = field(default=None, init=False)
    _reader: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._forget()

    @property
    def channel(self) -> grpc.aio.Channel:
        assert self._channel is not None, "the engine has not been started"
        return self._channel

    @property
    def stub(self) -> "EngineAsyncStub":
        stub: EngineAsyncStub = EngineStub(self.channel)
        return stub

    @property
    def pid(self) -> int:
        assert self.process is not None, "the engine has not been started"
        return self.process.pid

    async def start(self, **environment: str) -> None:
        """Returns when it serves. `environment` is for this start alone, such as a fail point."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="engine-")  # a later start finds a crash there
        socket = Path(self._folder.name) / "socket"
        socket.unlink(missing_ok=True)
        self.started_at = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            self.program,
            "--socket",
            socket,
            env={**os.environ, **self.environment, "ENGINE_STORE": self.store, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read_log(self.process))
        # A first try that fails costs gRPC's back-off, 100 ms at least.
        while not socket.exists() and self.process.returncode is None:  # noqa: ASYNC110 # another process makes it
            await asyncio.sleep(_LISTENING_POLL_S)
        self._channel = grpc.aio.insecure_channel(
            f"unix:{socket}",
            options=[("grpc.initial_reconnect_backoff_ms", 10), ("grpc.max_reconnect_backoff_ms", 50)],
        )
        serves, ends = asyncio.ensure_future(self._channel.channel_ready()), asyncio.create_task(self.process.wait())
        await asyncio.wait({serves, ends}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        ends.cancel()
        if not serves.done():
            serves.cancel()
            await self.kill()
            self._forget()
            raise EngineEnded("\n".join(self.log))

    async def kill(self) -> None:
        """SIGKILL, if it still runs. Idempotent."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM. Answers its status."""
        return await self._end(signal.SIGTERM)

    async def freeze(self) -> None:
        """SIGSTOP. Returns when it has stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        await self.frozen()

    async def frozen(self) -> None:
        """Waits until it is stopped, by whomever."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_stopped():
            assert time.monotonic() < deadline, "the engine goes on"
            await asyncio.sleep(0.005)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _is_stopped(self) -> bool:
        return all(
            (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
            for task in Path(f"/proc/{self.pid}/task").iterdir()
        )

    async def gone(self, within_s: float = PATIENCE_S) -> int:
        """Waits for an end that comes by itself. Answers its status."""
        assert self.process is not None
        status = await asyncio.wait_for(self.process.wait(), within_s)
        await self._release()
        return status

    def account(self, name: str, epoch: int = 1) -> "Account":
        return Account(engine=self, session=pb.Session(account_id=name, epoch=epoch))

    async def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(how)
        return await self.gone()

    async def _release(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None
        if self._reader is not None:
            await self._reader
            self._reader = None

    def _forget(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _read_log(self, process: Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.log.append(line.decode(errors="replace").rstrip())


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process is in the middle of writing to an SQLite database: reading goes on, writing waits."""
    lock = sqlite3.connect(database, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.execute("ROLLBACK")
        lock.close()


@dataclass(kw_only=True)
class Account:
    """An account at the engine. `events` are all that came on its streams, in order."""

    engine: RunningEngine
    session: pb.Session
    acknowledges: bool = True
    """Whether each event is acknowledged as soon as it comes."""
    events: list[pb.Event] = field(default_factory=list)
    stream_ended: bool = field(default=False, init=False)
    term_ends_s: float = field(default=0.0, init=False)
    """On the clock of connector/clock.py."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _follower: "asyncio.Task[None] | None" = field(default=None, init=False)

    @property
    def stub(self) -> "EngineAsyncStub":
        return self.engine.stub

    async def open(self, term_s: float = TERM_S, *, store_mark: int = 0) -> pb.OpenResponse:
        """Opens the session for a term from now on, and follows its events. `store_mark` is the highest one that is known."""
        response = await self.claim(term_s, store_mark)
        await self.follow()
        return response

    async def claim(self, term_s: float = TERM_S, store_mark: int = 0) -> pb.OpenResponse:
        """Opens the session. Who follows its events already goes on."""
        self.term_ends_s = now_s() + term_s
        request = pb.OpenRequest(session=self.session, term_ends_ms=int(self.term_ends_s * 1000), store_mark=store_mark)
        response: pb.OpenResponse = await self.stub.Open(request, timeout=PATIENCE_S)
        return response

    async def extend(self, term_s: float) -> None:
        """The term ends so long from now, unless it ends later already."""
        self.term_ends_s = max(self.term_ends_s, now_s() + term_s)
        request = pb.ExtendRequest(session=self.session, term_ends_ms=int(self.term_ends_s * 1000))
        await self.stub.Extend(request, timeout=PATIENCE_S)

    async def term_over(self) -> None:
        """Waits for the end of the term."""
        await asyncio.sleep(max(0.0, self.term_ends_s - now_s()) + 0.01)

    async def follow(self) -> None:
        """A new stream, in place of the one before."""
        await self.leave()
        self.stream_ended = False
        self._follower = asyncio.create_task(self._follow())

    async def leave(self) -> None:
        """No more events are taken."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None

    async def close(self) -> None:
        await self.stub.Close(pb.CloseRequest(session=self.session), timeout=PATIENCE_S)
        await self.leave()

    async def connected(self) -> None:
        await self.until_state(State.CONNECTED)

    async def acknowledge(self, sequence: int) -> None:
        await self.stub.Acknowledge(pb.AcknowledgeRequest(session=self.session, sequence=sequence), timeout=PATIENCE_S)

    async def send(
        self, chat: str, whatsapp_id: str, text: str, *, within_s: float = 10.0, timeout_s: float = 10.0
    ) -> pb.SendResponse:
        """`within_s` from now no frame may leave; `timeout_s` is the call's deadline."""
        request = pb.SendRequest(
            session=self.session,
            chat_jid=chat,
            whatsapp_id=whatsapp_id,
            text=text,
            not_after_unix_ms=int((time.time() + within_s) * 1000),
        )
        response: pb.SendResponse = await self.stub.Send(request, timeout=timeout_s)
        return response

    async def pair(self, phone_e164: str = "") -> pb.PairingCode:
        """Starts pairing. Answers the first code."""
        seen = len(self.events)
        request = pb.PairRequest(session=self.session, phone_e164=phone_e164)
        await self.stub.Pair(request, timeout=PATIENCE_S)
        event = await self.until(lambda: self._first(seen, "pairing_code"), "a pairing code")
        return event.pairing_code

    # What came

    @property
    def messages(self) -> list[pb.MessageReceived]:
        return [event.message for event in self.events if event.WhichOneof("kind") == "message"]

    @property
    def receipts(self) -> list[pb.ReceiptReceived]:
        return [event.receipt for event in self.events if event.WhichOneof("kind") == "receipt"]

    @property
    def changes(self) -> list[pb.SessionChanged]:
        return [event.session for event in self.events if event.WhichOneof("kind") == "session"]

    @property
    def states(self) -> list[str]:
        return [State.State.Name(change.state) for change in self.changes]

    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    # Waiting

    async def until(self, find: Callable[[], Found | None], what: str, within_s: float = PATIENCE_S) -> Found:
        """The first thing found that counts as true; looks again at each event."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := find()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            kinds = [event.WhichOneof("kind") for event in self.events[-8:]]
            log = "\n".join(self.engine.log[-20:])
            raise AssertionError(
                f"waited {within_s:.0f} s in vain for {what}; states {self.states}, last {kinds}\n{log}"
            ) from None
        return found

    async def until_state(
        self, state: "pb.SessionChanged.State.ValueType", *, after: int = 0, within_s: float = PATIENCE_S
    ) -> pb.SessionChanged:
        """The first change to this state, not counting the first `after` changes."""

        def find() -> pb.SessionChanged | None:
            return next((change for change in self.changes[after:] if change.state == state), None)

        return await self.until(find, State.State.Name(state), within_s)

    async def ended(self) -> None:
        await self.until(lambda: self.stream_ended, "the stream's end")

    async def until_message(self, text: str, within_s: float = PATIENCE_S) -> pb.MessageReceived:
        def find() -> pb.MessageReceived | None:
            return next((message for message in self.messages if message.text == text), None)

        return await self.until(find, "a message", within_s)

    def _first(self, seen: int, kind: str) -> pb.Event | None:
        return next((event for event in self.events[seen:] if event.WhichOneof("kind") == kind), None)

    async def _follow(self) -> None:
        try:
            async for event in self.stub.Events(pb.EventsRequest(session=self.session)):
                self.events.append(event)
                self._changed.set()
                if self.acknowledges and event.sequence:
                    await self._acknowledge_in_term(event.sequence)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise
        finally:
            self.stream_ended = True
            self._changed.set()

    async def _acknowledge_in_term(self, sequence: int) -> None:
        """An owner whose time is over is refused, and still sees what the stream tells him. INVALID_ARGUMENT: his session, which is just
        being closed, does not count the event as handed over any more."""
        try:
            await self.acknowledge(sequence)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _OVER:
                raise
