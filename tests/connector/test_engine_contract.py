"""A connector opens nothing with an engine of another contract version: it says so, is not ready, and asks again."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from connector.contract import engine_pb2 as pb
from connector.engine import CONTRACT
from local.project import ROOT
from tests.connector.stage import Stage
from tests.connector.test_engine_process import logged
from tests.waiting import wait_until


@dataclass
class OtherEngine:
    """Speaks whichever version it is told to: 1 has no Hello. Notes whether it was asked to open anything."""

    contract: int
    was_opened: bool = False

    def hello(self, _request: pb.HelloRequest, context: grpc.ServicerContext) -> pb.HelloResponse:
        if self.contract == 1:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown method Hello")
        return pb.HelloResponse(contract=self.contract)

    def open(self, _request: pb.OpenRequest, context: grpc.ServicerContext) -> pb.OpenResponse:
        self.was_opened = True
        context.abort(grpc.StatusCode.UNAVAILABLE, "not today")

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        methods = {
            "Hello": _method(self.hello, pb.HelloRequest),
            "Open": _method(self.open, pb.OpenRequest),
        }
        return grpc.method_handlers_generic_handler("threadline.engine.v1.Engine", methods)


def _method(serve: Any, request: type[Message]) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.unary_unary_rpc_method_handler(
        serve, request_deserializer=request.FromString, response_serializer=lambda answer: answer.SerializeToString()
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    engine: OtherEngine
    socket: Path


@pytest.fixture(params=[1, CONTRACT + 1], ids=["the version before", "the version after"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Standing]:
    engine, server, socket = OtherEngine(request.param), grpc.server(ThreadPoolExecutor()), tmp_path / "sock"
    server.add_generic_rpc_handlers((engine.handler(),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    yield Standing(engine=engine, socket=socket)
    server.stop(None)


@pytest.mark.parametrize("own", [False, True], ids=["somebody else's engine", "its own engine"])
def test_an_engine_of_another_contract_is_refused_until_it_is_replaced(
    other: Standing, stage: Stage, tmp_path: Path, own: bool
) -> None:
    settings: dict[str, Any] = {"ENGINE_SOCKET": str(other.socket)}
    if own:
        program = tmp_path / "engine"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/connector/relayed_engine.py" "$@"\n')
        program.chmod(0o755)
        store = "sqlite:/no/store.db"
        settings = {"ENGINE_SOCKET": "", "ENGINE_BINARY": str(program), "ENGINE_STORE": store}
    connector, account = stage.start_connector(**settings, RELAY_TO=str(other.socket)), stage.create_account()

    (refused,) = wait_until(lambda: logged(connector, "engine_contract_refused"), "the refusal is logged")
    connector.poke(account)

    assert (refused["engineContract"], refused["connectorContract"]) == (other.engine.contract, CONTRACT)
    assert "deploy connector and engine from one image" in refused["message"]
    ready = connector.get("/readyz")
    assert (ready.status_code, ready.json()["engine"]) == (503, False)
    other.engine.contract = CONTRACT
    wait_until(lambda: other.engine.was_opened, "it asks again, and opens")
    (serves,) = logged(connector, "engine_serves")
    (claimed,) = logged(connector, "lease_claimed")
    assert claimed["time"] > serves["time"], "nothing was claimed before"
    assert len(logged(connector, "engine_contract_refused")) == 1, "said once"
