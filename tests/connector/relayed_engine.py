#!/usr/bin/env python3
"""The simulated network as an engine's program: `--socket PATH`, every byte handed on to the network's own socket (RELAY_TO).

It can be killed as the engine can; what the engine would have in its store stays in the network. RELAY_MODE makes it misbehave.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


async def main() -> None:
    mode = os.environ.get("RELAY_MODE", "")
    log("INFO", "the engine serves", store=os.environ["ENGINE_STORE"].partition(":")[0])
    if mode == "panic":
        sys.stderr.write("panic: 40700000001 wrote hello\n\ngoroutine 1 [running]:\nmain.main()\n")
        sys.stderr.write("\tthreadline/engine/main.go:27 +0x1d\n")
        sys.exit(2)
    stopped = asyncio.Event()
    if mode != "deaf":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = await asyncio.start_unix_server(relay, sys.argv[sys.argv.index("--socket") + 1])
    await stopped.wait()
    server.close()
    log("INFO", "the engine has stopped")


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    to_network = await asyncio.open_unix_connection(os.environ["RELAY_TO"])
    await asyncio.gather(hand_on(reader, to_network[1]), hand_on(to_network[0], writer))


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def log(severity: str, message: str, **fields: str) -> None:
    sys.stderr.write(json.dumps({"severity": severity, "message": message, **fields}) + "\n")


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    asyncio.run(main())
