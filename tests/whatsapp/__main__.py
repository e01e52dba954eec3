"""python -m tests.whatsapp [--port N] [--tls] [--control-port N] [--environment-file F]: the server as a process."""

import argparse
import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from local.serving import HOST, serve_until_terminated, start_http
from tests.whatsapp.control import Control
from tests.whatsapp.server import WhatsAppServer


async def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.whatsapp")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true", help="TLS through CONNECT, instead of plain WebSockets")
    parser.add_argument("--control-port", type=int, help="for the control API of local/network/README.md")
    parser.add_argument("--environment-file", type=Path, help="where to write what sends an engine here, as JSON")
    options = parser.parse_args()
    server = WhatsAppServer(tls=options.tls, port=options.port)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        if options.control_port is not None:
            control = await start_http(Control(server).application(), options.control_port)
            stack.push_async_callback(control.cleanup)
        environment = server.environment()
        if options.environment_file is not None:
            options.environment_file.write_text(json.dumps(environment))
        told = " ".join(f"{name}={value}" for name, value in environment.items())
        await serve_until_terminated(f"WhatsApp on {HOST}:{server.port}: {told}")


if __name__ == "__main__":
    asyncio.run(main())
