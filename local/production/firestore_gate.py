"""python -m local.production.firestore_gate: a gRPC proxy before the Firestore emulator, which can refuse or hang for some seconds.

A port a client (--client NAME=PORT), so that it can be gone for one of them alone, and that a client's commit can be held. It passes
bytes on, and looks into a commit only while one is to be held. `Watcher` is told of each call with its bytes: whoever counts
documents begins there.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

import grpc
from aiohttp import web

from local.control_api import Fields, Json, control_application
from local.production.commits import CommitKind
from local.production.faults import NO_FAULTS, FaultKind, FaultPlan, InvalidPlan, parse_plan
from local.production.holds import Hold, Holds, Moment
from local.refusals import Malformed, Unknown
from local.serving import HOST, serve_until_terminated, start_http

Context = grpc.aio.ServicerContext[bytes, bytes]
Watcher = Callable[[str, bytes, list[bytes]], None]
"""Called after each call that was carried out, with its method's name, the request and the answers' messages: none where it
found no document, which is an answer too."""

_UNARY = frozenset(
    {"Commit", "BatchWrite", "BeginTransaction", "Rollback", "GetDocument", "ListCollectionIds", "ListDocuments"}
)
_STREAMED_ANSWER = frozenset({"RunQuery", "RunAggregationQuery", "BatchGetDocuments"})
"""What the product's clients call; it holds no listeners."""
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_PLACE = "firestore"


class Outages:
    """When Firestore refuses or hangs: whole windows of time, drawn one by one."""

    def __init__(self, window_s: float) -> None:
        self.counters: Counter[str] = Counter()
        self._window_s = window_s
        self._plan: FaultPlan = NO_FAULTS
        self._began = 0.0
        self._calls = 0

    def begin(self, plan: FaultPlan) -> None:
        """The windows count from now."""
        self._plan = plan
        self._began = asyncio.get_running_loop().time()

    def strikes(self, kind: FaultKind) -> bool:
        return self._plan.strikes(kind, _PLACE, str(self._window()))

    def strikes_after_the_call(self, kind: FaultKind) -> bool:
        """Whether a call that is struck is carried out all the same: every other one."""
        self._calls += 1
        struck_after = self._plan.amount(kind, _PLACE, str(self._window()), self._calls) < 0.5
        self.counters[f"{kind}_{'after' if struck_after else 'before'}_the_call"] += 1
        return struck_after

    async def pass_by(self) -> None:
        """Returns when Firestore does not hang any more."""
        while self.strikes(FaultKind.FIRESTORE_HANGS):
            left_s = (self._window() + 1) * self._window_s - (asyncio.get_running_loop().time() - self._began)
            await asyncio.sleep(max(left_s, 0.01))

    def _window(self) -> int:
        return int((asyncio.get_running_loop().time() - self._began) / self._window_s)


class FirestoreGate(grpc.GenericRpcHandler):  # type: ignore[type-arg] # generic in its type stub alone
    def __init__(
        self,
        channel: grpc.aio.Channel,
        outages: Outages,
        watcher: Watcher | None = None,
        hold: Callable[[bytes], Hold | None] | None = None,
        refuses: Callable[[bytes], bool] = lambda _commit: False,
    ) -> None:
        """`hold` and `refuses` are asked about each commit."""
        self._channel = channel
        self._outages = outages
        self._watcher = watcher
        self._hold = hold
        self._refuses = refuses

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        method = handler_call_details.method
        name = method.rpartition("/")[2]
        if name in _UNARY:
            call = self._channel.unary_unary(method, None, None)

            async def answer_once(request: bytes, context: Context) -> bytes:
                return (await self._pass_on(name, lambda: _unary(call, request, context), request, context))[0]

            return grpc.unary_unary_rpc_method_handler(answer_once)
        if name in _STREAMED_ANSWER:
            streaming = self._channel.unary_stream(method, None, None)

            async def answer_all(request: bytes, context: Context) -> AsyncIterator[bytes]:
                answers = await self._pass_on(name, lambda: _streamed(streaming, request, context), request, context)
                for answer in answers:
                    yield answer

            return grpc.unary_stream_rpc_method_handler(answer_all)
        return None

    async def _pass_on(self, name: str, call: Callable[[], Any], request: bytes, context: Context) -> list[bytes]:
        after = False
        for kind in (FaultKind.FIRESTORE_REFUSES, FaultKind.FIRESTORE_HANGS):
            if not self._outages.strikes(kind):
                continue
            after = self._outages.strikes_after_the_call(kind)
            if after:
                continue
            if kind is FaultKind.FIRESTORE_REFUSES:
                await _refuse(context)
            await self._outages.pass_by()
        if name == "Commit" and self._refuses(request):
            await _refuse(context)
        self._outages.counters[name] += 1
        held = self._hold(request) if self._hold is not None and name == "Commit" else None
        if held is not None and held.moment is Moment.BEFORE:
            await held.meet(_port_of(context))
        try:
            answers: list[bytes] = await call()
        except grpc.aio.AioRpcError as error:
            if self._watcher is not None and name == "GetDocument" and error.code() is grpc.StatusCode.NOT_FOUND:
                self._watcher(name, request, [])
            if held is not None and held.moment is Moment.AFTER:
                held.left = 1  # it did not stand: the next one is held
            await context.abort(error.code(), error.details() or "")
        if self._watcher is not None:
            self._watcher(name, request, answers)
        if held is not None and held.moment is Moment.AFTER:
            await held.meet(_port_of(context))
        if after and self._outages.strikes(FaultKind.FIRESTORE_REFUSES):
            await _refuse(context)
        if after:
            await self._outages.pass_by()
        return answers


async def _unary(call: Any, request: bytes, context: Context) -> list[bytes]:
    return [await call(request, metadata=_metadata(context), timeout=_time_left_s(context))]


async def _streamed(call: Any, request: bytes, context: Context) -> list[bytes]:
    """The whole answer at once: the product's queries are pages of at most some hundred documents."""
    return [answer async for answer in call(request, metadata=_metadata(context), timeout=_time_left_s(context))]


def _metadata(context: Context) -> list[tuple[str, Any]]:
    given = context.invocation_metadata() or ()
    return [(str(name), value) for name, value in given if not str(name).startswith(("grpc-", "user-agent", ":"))]


def _time_left_s(context: Context) -> float | None:
    left = context.time_remaining()
    return None if left is None or left > 1e6 else left


def _port_of(context: Context) -> int:
    """The caller's, of an address such as ipv4:127.0.0.1:40123."""
    return int(context.peer().rpartition(":")[2])


async def _refuse(context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "Firestore is not available (a fault of this run)")
    raise AssertionError("abort raises")


class Control:
    def __init__(self, outages: Mapping[str, Outages], holds: Holds) -> None:
        self._outages = outages
        self._holds = holds

    def application(self) -> web.Application:
        return control_application(
            [
                ("POST", "/faults", self.faults, "plan client"),
                ("GET", "/counters", self.counters, ""),
                ("POST", "/hold", self.hold, "client commit moment passes document"),
                ("POST", "/refuse", self.refuse, "client commit document"),
                ("POST", "/allow", self.allow, "client commit document"),
                ("POST", "/release", self.release, "hold_id"),
                ("GET", "/met", self.met, "hold_id"),
                ("GET", "/callers", self.callers, ""),
            ]
        )

    def faults(self, fields: Fields) -> Json:
        try:
            plan = parse_plan(fields.text_or("plan", ""))
        except InvalidPlan as error:
            raise Malformed(str(error)) from error
        client = fields.optional_text("client")
        for name in self._outages if client is None else [self._known(client)]:
            self._outages[name].begin(plan)
        return {}

    def counters(self, _fields: Fields) -> Json:
        counted = sum((outages.counters for outages in self._outages.values()), Counter[str]())
        return [{"name": name, "count": count} for name, count in counted.items()]

    def hold(self, fields: Fields) -> Json:
        hold = self._holds.add(
            self._known(fields.text("client")),
            fields.choice("commit", CommitKind),
            fields.choice("moment", Moment),
            fields.optional_count("passes") or 1,
            fields.text_or("document", ""),
        )
        return {"hold_id": hold.hold_id}

    def refuse(self, fields: Fields) -> Json:
        self._holds.refuse(*self._commits(fields))
        return {}

    def allow(self, fields: Fields) -> Json:
        self._holds.allow(*self._commits(fields))
        return {}

    def release(self, fields: Fields) -> Json:
        self._holds.release(fields.optional_count("hold_id"))
        return {}

    def met(self, fields: Fields) -> Json:
        return [{"has_met": self._holds.has_met(int(fields.text("hold_id")))}]

    def callers(self, _fields: Fields) -> Json:
        return [{"hold_id": hold.hold_id, "caller_port": hold.caller_port} for hold in self._holds.met()]

    def _commits(self, fields: Fields) -> tuple[str, CommitKind, str]:
        client, kind = self._known(fields.text("client")), fields.choice("commit", CommitKind)
        return client, kind, fields.text_or("document", "")

    def _known(self, client: str) -> str:
        if client not in self._outages:
            raise Unknown(f"there is no client {client}; there are: {', '.join(self._outages)}")
        return client


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.production.firestore_gate")
    parser.add_argument("--client", action="append", required=True, metavar="NAME=PORT")
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--firestore", required=True, help="host:port of the emulator")
    parser.add_argument("--window-s", type=float, default=1.0, help="how long one outage lasts at least")
    options = parser.parse_args()
    channel = grpc.aio.insecure_channel(options.firestore, options=_OPTIONS)
    ports = dict(client.split("=") for client in options.client)
    outages, holds = {client: Outages(options.window_s) for client in ports}, Holds()
    servers = [await _serve(channel, outages[client], holds, client, port) for client, port in ports.items()]
    control = await start_http(Control(outages, holds).application(), options.control_port)
    await serve_until_terminated(f"gate before Firestore for {', '.join(ports)}")
    for server in servers:
        await server.stop(grace=0)
    await control.cleanup()
    await channel.close(None)


async def _serve(channel: grpc.aio.Channel, outages: Outages, holds: Holds, client: str, port: str) -> grpc.aio.Server:
    server = grpc.aio.server(options=_OPTIONS)
    gate = FirestoreGate(
        channel,
        outages,
        hold=lambda commit: holds.take(client, commit),
        refuses=lambda commit: holds.refuses(client, commit),
    )
    server.add_generic_rpc_handlers((gate,))
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    return server


if __name__ == "__main__":
    asyncio.run(main())
