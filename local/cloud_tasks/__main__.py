"""python -m local.cloud_tasks --port N --control-port M --queue NAME[,max_attempts=..,...] ...: Cloud Tasks as a process.

--tokens-url is the identity server that issues the tokens of tasks with an `oidc_token`; without it they carry none.
TIME_SCALE scales the queues' back-off. README.md names the settings and the control API.
"""

import argparse
import asyncio

import aiohttp
import grpc

from local.cloud_tasks.control import Control
from local.cloud_tasks.queue import Queue
from local.cloud_tasks.service import CloudTasksService
from local.cloud_tasks.settings import InvalidQueue, parse_queue
from local.cloud_tasks.trouble import Trouble
from local.issued_tokens import IssuedTokens
from local.serving import HOST, serve_until_terminated, start_http
from local.time_scale import time_scale


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.cloud_tasks")
    parser.add_argument("--port", type=int, required=True, help="gRPC")
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--queue", action="append", required=True, help="NAME,max_attempts=5,min_backoff_s=1,...")
    parser.add_argument("--tokens-url", help="where identity tokens are issued (local/identity_server.py)")
    options = parser.parse_args()
    scale = time_scale()
    try:
        settings = [parse_queue(argument).scaled(scale) for argument in options.queue]
    except InvalidQueue as error:
        parser.error(str(error))

    trouble = Trouble()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tokens = IssuedTokens(options.tokens_url, session) if options.tokens_url else None
        queues = {queue.name: Queue(queue, trouble, session, tokens) for queue in settings}
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((CloudTasksService(queues).handler(),))
        server.add_insecure_port(f"{HOST}:{options.port}")
        await server.start()
        control = await start_http(Control(queues, trouble).application(), options.control_port)
        await serve_until_terminated(f"cloud tasks on {HOST}:{options.port}, control on {HOST}:{options.control_port}")
        for queue in queues.values():
            queue.reset()
        await server.stop(grace=0.2)
        await control.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
