"""One network process for the session, fresh for each test."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from connector.contract.engine_pb2_grpc import EngineStub
from local.network.client import Network
from local.ports import free_port
from local.processes import Processes
from tests.local.network.driver import ANA, Driver
from tests.local.running import running


@dataclass(frozen=True)
class Address:
    socket: Path
    control_port: int


@pytest.fixture(scope="session")
def network_address(processes: Processes) -> Iterator[Address]:
    address = Address(processes.folder / "network.sock", free_port())
    arguments = ["--socket", str(address.socket), "--control-port", str(address.control_port)]
    with running(processes, "local.network", *arguments):
        yield address


@pytest.fixture
def network(network_address: Address) -> Iterator[Network]:
    """With one contact, whose receipts come at once."""
    network = Network(network_address.control_port)
    network.reset()
    network.change_settings(receipt_delay_s=0, ack_timeout_s=1)
    network.add_contact(ANA, "Ana")
    yield network
    network.reset()


@pytest.fixture
async def driver(network: Network, network_address: Address) -> AsyncIterator[Driver]:
    """A connector's part, played by the test."""
    async with grpc.aio.insecure_channel(f"unix:{network_address.socket}") as channel:
        yield Driver(EngineStub(channel), network)
