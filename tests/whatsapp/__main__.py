"""python -m tests.whatsapp [--port N] [--tls]: the server as a process."""

import argparse
import asyncio

from local.serving import HOST, serve_until_terminated
from tests.whatsapp.server import WhatsAppServer


async def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.whatsapp")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true", help="TLS through CONNECT, instead of plain WebSockets")
    options = parser.parse_args()
    server = WhatsAppServer(tls=options.tls, port=options.port)
    await server.start()
    try:
        environment = " ".join(f"{name}={value}" for name, value in server.environment().items())
        await serve_until_terminated(f"WhatsApp on {HOST}:{server.port}: {environment}")
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
