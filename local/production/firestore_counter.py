"""python -m local.production.firestore_counter: a gRPC proxy before the Firestore emulator that counts what Firestore bills.

A port a client, so that it is known who reads and writes: --client NAME=PORT, as often as there are clients. The reads of
security rules do not pass here.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

import grpc
from google.cloud.firestore_v1 import types

from local.control_api import Json, control_application
from local.production.firestore_gate import FirestoreGate, Outages
from local.serving import HOST, serve_until_terminated, start_http

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_FREE = frozenset({"BeginTransaction", "Rollback"})


class Operation(StrEnum):
    READ = "read"
    """A document in an answer, also one that does not exist; a query without a result is one read."""
    WRITE = "write"
    DELETE = "delete"
    NOT_UNDERSTOOD = "not_understood"
    """A call that this counter has no price for: whoever budgets must not take it for free."""


@dataclass(frozen=True, kw_only=True)
class Count:
    client: str
    operation: Operation
    collection: str
    count: int


class FirestoreCounter:
    """Only calls that were carried out are counted."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, Operation, str]] = Counter()

    def watch(self, client: str, method: str, request: bytes, answers: Iterable[bytes]) -> None:
        for operation, collection in billed(method, request, answers):
            self._counted[client, operation, collection] += 1

    def counts(self) -> list[Count]:
        return [
            Count(client=client, operation=operation, collection=collection, count=count)
            for (client, operation, collection), count in sorted(self._counted.items())
        ]


def billed(method: str, request: bytes, answers: Iterable[bytes]) -> Iterator[tuple[Operation, str]]:
    """Each operation that one call is billed for, with the collection that it is about."""
    match method:
        case "Commit" | "BatchWrite":
            for write in types.CommitRequest.deserialize(request).writes:  # both have their writes in the same field
                if write.delete:
                    yield Operation.DELETE, _collection(write.delete)
                else:
                    yield Operation.WRITE, _collection(write.update.name or write.transform.document)
        case "GetDocument":
            yield Operation.READ, _collection(types.GetDocumentRequest.deserialize(request).name)
        case "BatchGetDocuments":
            for answer in map(types.BatchGetDocumentsResponse.deserialize, answers):
                if name := answer.found.name or answer.missing:
                    yield Operation.READ, _collection(name)
        case "RunQuery":
            query = types.RunQueryRequest.deserialize(request).structured_query
            found = map(types.RunQueryResponse.deserialize, answers)
            reads = sum(bool(answer.document.name) + answer.skipped_results for answer in found)
            for _ in range(max(reads, 1)):
                yield Operation.READ, query.from_[0].collection_id
        case free if free in _FREE:
            return
        case _:
            yield Operation.NOT_UNDERSTOOD, method


def _collection(document: str) -> str:
    return document.rsplit("/", 2)[-2]


async def main() -> None:
    parser = argparse.ArgumentParser(prog="local.production.firestore_counter")
    parser.add_argument("--client", action="append", required=True, metavar="NAME=PORT")
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--firestore", required=True, help="host:port of the emulator")
    options = parser.parse_args()
    counter = FirestoreCounter()
    channel = grpc.aio.insecure_channel(options.firestore, options=_OPTIONS)
    servers = [await _serve(counter, channel, *client.split("=")) for client in options.client]

    def counts(_fields: object) -> Json:
        return [asdict(count) for count in counter.counts()]

    control = await start_http(control_application([("GET", "/counts", counts, "")]), options.control_port)
    await serve_until_terminated(f"counter before Firestore for {', '.join(options.client)}")
    for server in servers:
        await server.stop(grace=0)
    await control.cleanup()
    await channel.close(None)


async def _serve(counter: FirestoreCounter, channel: grpc.aio.Channel, client: str, port: str) -> grpc.aio.Server:
    def watch(method: str, request: bytes, answers: list[bytes]) -> None:
        counter.watch(client, method, request, answers)

    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((FirestoreGate(channel, Outages(1.0), watch),))
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    return server


if __name__ == "__main__":
    asyncio.run(main())
