"""python -m local.network --socket PATH --control-port N [--seed N]: the simulated network as a process."""

import argparse
import asyncio
import time
from pathlib import Path

import grpc

from connector.contract.engine_pb2_grpc import add_EngineServicer_to_server
from core.timing import Timing
from local.network.code_display import CodeDisplay
from local.network.control import Control
from local.network.engine import SimulatedEngine
from local.network.sending import Sender, Settings
from local.network.world import World
from local.serving import HOST, serve_until_terminated, start_http
from local.time_scale import time_scale


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.network")
    parser.add_argument(
        "--socket", type=Path, required=True, help="the unix socket that connectors reach the engine on"
    )
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--seed", type=int, help="makes pairing codes and message ids repeat")
    options = parser.parse_args()
    timing = Timing().scaled(time_scale())
    settings = Settings(ack_timeout_s=timing.engine_send_s)
    world = World(time.time, options.seed)
    sender = Sender(world, settings)
    codes = CodeDisplay(world, settings)

    options.socket.unlink(missing_ok=True)
    server = grpc.aio.server()
    add_EngineServicer_to_server(SimulatedEngine(world, sender, codes), server)
    server.add_insecure_port(f"unix:{options.socket}")
    await server.start()
    control = await start_http(Control(world, sender, codes, settings).application(), options.control_port)
    await serve_until_terminated(f"network on {options.socket}, control on {HOST}:{options.control_port}")
    world.reset()
    sender.reset()
    codes.reset()
    await server.stop(grace=0.2)
    await control.cleanup()
    options.socket.unlink(missing_ok=True)


if __name__ == "__main__":
    asyncio.run(main())
