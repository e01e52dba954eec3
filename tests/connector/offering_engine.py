"""A bare engine whose accounts have as many long messages as a test asks for, made when they are taken: it counts what it has handed over."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc

from connector.contract import engine_pb2 as pb

Context = grpc.aio.ServicerContext[Any, Any]


class OfferingEngine:
    """Hands each account's messages 1, 2, 3... over, from the first on that is not acknowledged."""

    def __init__(self, *, messages: int, text_bytes: int) -> None:
        self.messages = messages
        self.text = "x" * text_bytes
        self.handed: Counter[str] = Counter()
        self.acknowledged: Counter[str] = Counter()
        self.most_outstanding_bytes = 0
        """What was handed over and not acknowledged: the most at any moment."""
        self._outstanding_bytes = 0
        self._event_bytes = self._event(1).ByteSize()

    async def events(self, request: pb.EventsRequest, _: Context) -> AsyncIterator[pb.Event]:
        account = request.session.account_id
        self.handed[account] = self.acknowledged[account]
        while self.handed[account] < self.messages:
            sequence = self.handed[account] + 1
            yield self._event(sequence)
            self.handed[account] = sequence
            self._outstanding_bytes += self._event_bytes
            self.most_outstanding_bytes = max(self.most_outstanding_bytes, self._outstanding_bytes)

    async def acknowledge(self, request: pb.AcknowledgeRequest, _: Context) -> pb.AcknowledgeResponse:
        account = request.session.account_id
        self._outstanding_bytes -= (request.sequence - self.acknowledged[account]) * self._event_bytes
        self.acknowledged[account] = request.sequence
        return pb.AcknowledgeResponse()

    def _event(self, sequence: int) -> pb.Event:
        message = pb.MessageReceived(
            whatsapp_id=f"A{sequence}", chat_jid="40712345678@s.whatsapp.net", timestamp_s=1_700_000_000, text=self.text
        )
        return pb.Event(sequence=sequence, message=message, wire=self.text.encode())

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        events = grpc.unary_stream_rpc_method_handler(
            self.events,
            request_deserializer=pb.EventsRequest.FromString,
            response_serializer=pb.Event.SerializeToString,
        )
        acknowledge = grpc.unary_unary_rpc_method_handler(
            self.acknowledge,
            request_deserializer=pb.AcknowledgeRequest.FromString,
            response_serializer=pb.AcknowledgeResponse.SerializeToString,
        )
        calls = {"Events": events, "Acknowledge": acknowledge}
        return grpc.method_handlers_generic_handler("threadline.engine.v1.Engine", calls)
