"""A real engine whose one account is linked, before a server with a contact: what most of this package's tests begin with."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from connector.contract import engine_pb2 as pb
from tests.engine.running import Account, RunningEngine
from tests.whatsapp import Contact, Device, Phone, WhatsAppServer

SHOP, ANA, BOB = "+40722222222", "+40711111111", "+40733333333"
_numbers = itertools.count(1)


def new_id() -> str:
    return f"3EB0{next(_numbers):018X}"


def has_receipt(account: Account, message_id: str, kind: "pb.ReceiptReceived.Type.ValueType") -> bool:
    return any(message_id in receipt.whatsapp_ids and receipt.type == kind for receipt in account.receipts)


@dataclass(frozen=True, kw_only=True)
class Linked:
    """A server with a contact and an engine whose one account is paired."""

    server: WhatsAppServer
    engine: RunningEngine
    account: Account
    phone: Phone
    device: Device
    ana: Contact

    async def restart(self, account: Account | None = None) -> Account:
        """SIGKILL, and a new process on the same store."""
        await self.engine.kill()
        await self.server.until(lambda: not self.device.is_connected, what="the server to notice")
        await self.engine.start()
        again = account or self.engine.account(self.account.session.account_id)
        await again.open()
        return again


@contextlib.asynccontextmanager
async def linked(server: WhatsAppServer, folder: Path, *, by_code: bool = False) -> AsyncIterator[Linked]:
    """The engine ends first; the server looks for problems when it has had its answers."""
    engine = RunningEngine(store=f"sqlite:{folder / 'engine.db'}", environment=server.environment())
    async with engine:
        phone, ana = server.add_phone(SHOP), server.add_contact(ANA, "Ana", addressing="lid")
        account = engine.account("shop")
        await account.open()
        if by_code:
            device = await phone.enter_code((await account.pair(SHOP)).phone_code)
        else:
            device = await phone.scan((await account.pair()).qr)
        await account.connected()
        await device.ready()
        yield Linked(server=server, engine=engine, account=account, phone=phone, device=device, ana=ana)
        await account.leave()
        await server.settle()
