"""When an engine is given up: not for one answer that came too late, but for two in a row that did not come."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from connector.engine import CONTRACT, Engine, connect_engine
from connector.engine_watch import EngineWatch

CALL_S = 2.0


class SleepyEngine:
    """Answers each Hello at once, but those whose numbers it is told to sleep over: them never."""

    def __init__(self) -> None:
        self.asked = 0
        self.sleeps_over: set[int] = set()

    async def hello(self, _request: pb.HelloRequest, _context: object) -> pb.HelloResponse:
        self.asked += 1
        if self.asked in self.sleeps_over:
            await asyncio.Event().wait()
        return pb.HelloResponse(contract=CONTRACT)

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        hello: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
            self.hello,
            request_deserializer=pb.HelloRequest.FromString,
            response_serializer=pb.HelloResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler("threadline.engine.v1.Engine", {"Hello": hello})


@pytest.fixture
async def sleepy() -> SleepyEngine:
    return SleepyEngine()


@pytest.fixture
async def engine(sleepy: SleepyEngine, tmp_path: Path) -> AsyncIterator[Engine]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((sleepy.handler(),))
    server.add_insecure_port(f"unix:{tmp_path}/socket")
    await server.start()
    engine = connect_engine(tmp_path / "socket", CALL_S)
    yield engine
    await engine.channel.close(None)
    await server.stop(None)


@pytest.mark.parametrize(
    ("sleeps_over", "given_up_after"),
    [({2, 5, 6}, 6), ({2, 4, 6, 8, 9}, 9)],
    ids=["once", "again and again, never twice"],
)
async def test_only_two_answers_in_a_row_that_do_not_come_give_an_engine_up(
    sleepy: SleepyEngine, engine: Engine, sleeps_over: set[int], given_up_after: int
) -> None:
    sleepy.sleeps_over = sleeps_over
    await EngineWatch(engine=engine, call_s=CALL_S).until_silent()
    assert sleepy.asked == given_up_after
    assert not engine.serving.is_set()
