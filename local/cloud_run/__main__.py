"""python -m local.cloud_run: Cloud Run's front end before services that other processes serve.

    --port N --certs-url URL --services FILE [--pending-s 10] [--removal consumed|authorization|none] [--close-connections]

FILE is what `routes.write` has written. README.md says what the front end checks.
"""

import argparse
import asyncio
from pathlib import Path

from local.cloud_run.forwarding import PENDING_S, Forwarding, new_session
from local.cloud_run.front import Front, Removal
from local.cloud_run.google_tokens import GoogleTokens
from local.cloud_run.routes import Door, read
from local.serving import HOST, serve_until_terminated, start_http


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.cloud_run")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certs-url", required=True, help="the key set that tokens are checked against")
    parser.add_argument("--services", type=Path, required=True)
    parser.add_argument("--pending-s", type=float, default=PENDING_S, help="how long a call waits for an instance")
    parser.add_argument("--removal", type=Removal, default=Removal.CONSUMED, help=", ".join(Removal))
    parser.add_argument("--close-connections", action="store_true", help="one call a connection to an instance")
    options = parser.parse_args()
    async with new_session() as session:
        front = Front(GoogleTokens(options.certs_url, session), options.removal)
        forwarding = Forwarding(session, options.pending_s, closes_connections=options.close_connections)
        door = Door(read(options.services), front, forwarding)
        runner = await start_http(door.application(), options.port)
        await serve_until_terminated(f"cloud run on {HOST}:{options.port}")
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
