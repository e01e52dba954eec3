"""One engine and one WhatsApp server for each test, and an account that is linked already."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import engine_build, postgres
from local.postgres import Postgres
from local.processes import Processes
from tests.engine.running import Account, RunningEngine
from tests.engine.stores import PostgresStore
from tests.whatsapp import Contact, Device, Phone, WhatsAppServer

PHONE = "+40711111111"
ANA = "+40722222222"


@dataclass(frozen=True, kw_only=True)
class Linked:
    """An account that is paired and connected, with its phone, its device as the server knows it, and a contact."""

    account: Account
    phone: Phone
    device: Device
    ana: Contact

    @property
    def ana_jid(self) -> str:
        return str(self.ana.number_jid)


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    engine_build.build()


@pytest.fixture(scope="session")
def postgres_server(processes: Processes) -> Iterator[Postgres]:
    with postgres.running(processes) as running:
        yield running


@pytest.fixture
async def store(postgres_server: Postgres) -> PostgresStore:
    store = PostgresStore(server=postgres_server)
    await store.create()
    return store


@pytest.fixture(params=["sqlite", "postgres"])
async def either_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/sessions.db"
    store = PostgresStore(server=request.getfixturevalue("postgres_server"))
    await store.create()
    return store.address("engine")


@pytest.fixture
async def server() -> AsyncIterator[WhatsAppServer]:
    async with WhatsAppServer() as server:
        yield server


@pytest.fixture
async def engine(server: WhatsAppServer, tmp_path: Path) -> AsyncIterator[RunningEngine]:
    async with RunningEngine(store=f"sqlite:{tmp_path}/sessions.db", environment=server.environment()) as engine:
        yield engine


@pytest.fixture
async def linked(server: WhatsAppServer, engine: RunningEngine) -> AsyncIterator[Linked]:
    linked = await link(server, engine)
    yield linked
    await linked.account.leave()
    await server.settle()


async def link(
    server: WhatsAppServer, engine: RunningEngine, name: str = "shop", number: str = PHONE, contact: str = ANA
) -> Linked:
    """Pairs an account by QR."""
    phone, ana = server.add_phone(number), server.add_contact(contact, "Ana")
    account = engine.account(name)
    await account.open()
    code = await account.pair()
    device = await phone.scan(code.qr)
    await account.connected()
    await device.ready()
    await device.caught_up()
    return Linked(account=account, phone=phone, device=device, ana=ana)
