"""python -m local.bench.sink --port N: where the floor's POSTs end. It writes down when each came."""

import argparse
import asyncio
import time

from aiohttp import web

from local.serving import serve_until_terminated, start_http


class Sink:
    def __init__(self) -> None:
        self._arrived: list[dict[str, object]] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/wire", self._take)
        application.router.add_get("/arrived", self._tell)
        return application

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._arrived.append({"id": body["id"], "at": time.time()})
        return web.json_response({})

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.json_response(self._arrived)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.bench.sink")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    runner = await start_http(Sink().application(), options.port)
    await serve_until_terminated(f"sink on {options.port}")
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
