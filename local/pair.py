"""Links a phone over the real WhatsApp: `python -m local.pair` shows a QR code in the terminal and counts the texts that come in.

The released engine does it, as it does for the connector, with a store in a folder that is kept: the next run connects at once.
"""

import argparse
import asyncio
import contextlib
import io
import math
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import segno

from connector.contract import engine_pb2 as pb
from connector.engine import Engine, EngineFailed
from connector.engine_process import engine_of
from connector.pairing import refusal_in_words
from connector.passkey import HOW_TO_SIGN, WITHOUT_PASSKEY, script
from connector.settings import EngineProgram
from connector.term import Term
from core.ids import AccountId, WorkerId
from local.engine_build import RELEASE_ENGINE
from local.project import OUT

_CALL_S = 10.0
_RETRY_S = 0.5
_QUIET_ZONE = 2
_LIGHT_ON_DARK, _PLAIN = "\033[97;40m", "\033[0m"

_ENDINGS = {
    pb.SessionChanged.LOGGED_OUT: "WhatsApp has removed this device",
    pb.SessionChanged.REPLACED: "the session was opened somewhere else",
    pb.SessionChanged.BANNED: "WhatsApp has banned the number for a time",
    pb.SessionChanged.OUTDATED: "WhatsApp refuses this version of the engine",
}


class _Over(Exception):
    """The session has ended for good; the message says why."""


def main(arguments: list[str], binary: Path = RELEASE_ENGINE) -> int:
    parser = argparse.ArgumentParser(prog="local.pair")
    parser.add_argument("--folder", type=Path, default=OUT / "pair", help="where the session is kept")
    folder: Path = parser.parse_args(arguments).folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    terminal = sys.stdout
    with (folder / "pair.log").open("a") as log, contextlib.redirect_stdout(log):
        program = EngineProgram(binary=binary, store=f"sqlite:{folder / 'sessions.db'}")
        complaint = asyncio.run(_run(program, terminal))
    if complaint is not None:
        print(f"\nEnded: {complaint}. {folder / 'pair.log'} has the engine's log.", file=sys.stderr)
        return 1
    print(f"\nDisconnected. The session is kept in {folder}; remove the device on the phone to end it for good.")
    return 0


async def _run(program: EngineProgram, terminal: TextIO) -> str | None:
    """Until Ctrl-C (None), or until the session ends for good (why)."""
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    # An epoch that grows from run to run: the engine takes a session from an earlier owner alone.
    term = Term(account=AccountId("pair"), worker=WorkerId("pair"), epoch=int(time.time()), deadline_s=math.inf)
    why = None
    async with engine_of(program, _CALL_S) as engine:
        following = asyncio.create_task(_Visit(engine=engine, term=term, terminal=terminal).keep())
        waiting = asyncio.create_task(interrupted.wait())
        await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        following.cancel()
        try:
            await following
        except asyncio.CancelledError:
            pass  # interrupted
        except _Over as over:
            why = str(over)
        with contextlib.suppress(EngineFailed):
            await engine.close(term)
    return why


@dataclass(kw_only=True)
class _Visit:
    engine: Engine
    term: Term
    terminal: TextIO
    texts: int = 0
    _answering: "asyncio.Task[None] | None" = None

    async def keep(self) -> None:
        """Opens the session, again whenever the engine was lost. Raises _Over."""
        while True:
            await self.engine.serving.wait()
            with contextlib.suppress(EngineFailed):
                opened = await self.engine.open(self.term)
                if not opened.paired:
                    await self.engine.pair(self.term, None)
                async for event in self.engine.events(self.term):
                    await self._heed(event)
            await asyncio.sleep(_RETRY_S)

    async def _heed(self, event: pb.Event) -> None:
        match event.WhichOneof("kind"):
            case "pairing_code":
                self._say(
                    "\nWhatsApp on the phone: Settings, Linked devices, Link a device. The code changes by itself."
                )
                self._say(_drawn(event.pairing_code.qr, coloured=self.terminal.isatty()))
            case "passkey_request":
                self._say(f"\n{HOW_TO_SIGN} Paste the answer here, and press Enter. {WITHOUT_PASSKEY}\n")
                self._say(script(event.passkey_request.options_json))
                self._answering = asyncio.create_task(self._answer_passkey())
            case "pairing_ended":
                await self._pairing_ended(event.pairing_ended)
            case "session":
                self._session_changed(event.session)
            case "message":
                self._count(event.message)
        if event.sequence:
            await self.engine.acknowledge(self.term, event.sequence)

    async def _answer_passkey(self) -> None:
        """Until WhatsApp has taken what is pasted, or has refused it, which ends the pairing."""
        while answer := await _next_line():
            try:
                await self.engine.answer_passkey(self.term, answer)
            except EngineFailed as error:
                self._say(f"Not taken: {error.detail or error.status}. Paste the answer again.")
            else:
                return

    async def _pairing_ended(self, ended: pb.PairingEnded) -> None:
        if self._answering is not None:
            self._answering.cancel()
        match ended.result:
            case pb.PairingEnded.PAIRED:
                self._say("Linked.")
            case pb.PairingEnded.EXPIRED:
                await self.engine.pair(self.term, None)
            case _:
                raise _Over(f"the pairing has failed: {refusal_in_words(ended.reason)}")

    def _session_changed(self, changed: pb.SessionChanged) -> None:
        if changed.state in _ENDINGS:
            raise _Over(_ENDINGS[changed.state])
        if changed.state == pb.SessionChanged.CONNECTED:
            self._say("Connected. Ctrl-C disconnects.")
        elif changed.state == pb.SessionChanged.RECONNECTING:
            self._say(f"The connection was lost ({changed.reason}); the engine tries again.")

    def _count(self, message: pb.MessageReceived) -> None:
        """Nothing of a text is shown: only that it has come."""
        if message.HasField("text") and not message.from_me:
            self.texts += 1
            self._say(f"Texts received: {self.texts}")

    def _say(self, line: str) -> None:
        print(line, file=self.terminal, flush=True)


async def _next_line() -> str:
    """What is typed or pasted next; empty at the input's end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip()


def _drawn(code: str, *, coloured: bool) -> str:
    """Two rows of modules a line. In colours of its own on a terminal: dark on light whatever its theme is."""
    drawn = io.StringIO()
    segno.make_qr(code, error="l").terminal(out=drawn, border=_QUIET_ZONE, compact=True)
    lines = drawn.getvalue().splitlines()
    return "\n".join(f"{_LIGHT_ON_DARK}{line}{_PLAIN}" if coloured else line for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
