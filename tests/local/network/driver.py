"""Plays the connector towards the engine, in as few words as the tests can do with."""

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from local.network.client import Network

if TYPE_CHECKING:
    from connector.contract.engine_pb2_grpc import EngineAsyncStub  # stands in the stubs alone

SHOP = "+40700000001"
ANA = "+40712345678"
ANA_JID = "40712345678@s.whatsapp.net"
SOON_S = 5.0
TERM_S = 3600.0
"""Longer than any test."""


def in_ms(seconds: float) -> int:
    """A not_after so many seconds ahead."""
    return int((time.time() + seconds) * 1000)


def ends_ms(seconds: float) -> int:
    """A term's end so many seconds ahead."""
    return int((now_s() + seconds) * 1000)


@dataclass
class Events:
    """One stream of events, read with a time limit."""

    call: "grpc.aio.UnaryStreamCall[pb.EventsRequest, pb.Event]"

    async def next(self) -> pb.Event:
        event = await asyncio.wait_for(self.call.read(), SOON_S)
        assert isinstance(event, pb.Event), "the stream has ended"
        return event

    async def next_message(self) -> pb.MessageReceived:
        """The next event, which must be a message."""
        event = await self.next()
        assert event.HasField("message"), event
        return event.message

    async def next_receipt(self) -> pb.ReceiptReceived:
        event = await self.next()
        assert event.HasField("receipt"), event
        return event.receipt

    async def next_state(self) -> pb.SessionChanged:
        event = await self.next()
        assert event.HasField("session"), event
        return event.session

    async def texts(self, count: int) -> list[str]:
        return [(await self.next_message()).text for _ in range(count)]

    async def has_ended(self) -> bool:
        return not isinstance(await asyncio.wait_for(self.call.read(), SOON_S), pb.Event)


@dataclass
class Driver:
    engine: "EngineAsyncStub"
    network: Network

    def session(self, epoch: int = 1, account: str = "shop") -> pb.Session:
        return pb.Session(account_id=account, epoch=epoch)

    async def open(self, epoch: int = 1, account: str = "shop", *, term_s: float = TERM_S) -> pb.OpenResponse:
        request = pb.OpenRequest(session=self.session(epoch, account), term_ends_ms=ends_ms(term_s))
        return await self.engine.Open(request, wait_for_ready=True)

    async def extend(self, term_s: float, epoch: int = 1) -> None:
        await self.engine.Extend(pb.ExtendRequest(session=self.session(epoch), term_ends_ms=ends_ms(term_s)))

    async def close(self, epoch: int = 1) -> None:
        await self.engine.Close(pb.CloseRequest(session=self.session(epoch)))

    async def pair(self, phone: str = "", epoch: int = 1, account: str = "shop") -> None:
        await self.engine.Pair(pb.PairRequest(session=self.session(epoch, account), phone_e164=phone))

    def events(self, epoch: int = 1, account: str = "shop") -> Events:
        return Events(self.engine.Events(pb.EventsRequest(session=self.session(epoch, account))))

    async def acknowledge(self, sequence: int, epoch: int = 1) -> None:
        await self.engine.Acknowledge(pb.AcknowledgeRequest(session=self.session(epoch), sequence=sequence))

    async def connected(self, account: str = "shop", phone: str = SHOP) -> Events:
        """Opens and pairs an account; the stream stands behind CONNECTED."""
        await self.open(account=account)
        events = self.events(account=account)
        await self.pair(account=account)
        code = await events.next()
        self.network.scan(phone, code.pairing_code.qr)
        while (await events.next()).session.state != pb.SessionChanged.CONNECTED:
            pass
        return events

    async def send(
        self,
        whatsapp_id: str,
        text: str = "hello",
        *,
        chat_jid: str = ANA_JID,
        epoch: int = 1,
        not_after_s: float = SOON_S,
    ) -> pb.SendResponse:
        request = pb.SendRequest(
            session=self.session(epoch),
            chat_jid=chat_jid,
            whatsapp_id=whatsapp_id,
            text=text,
            not_after_unix_ms=in_ms(not_after_s),
        )
        return await self.engine.Send(request, timeout=SOON_S * 2)
