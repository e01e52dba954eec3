"""One network process for the session, fresh for each test."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from connector.contract.engine_pb2_grpc import EngineStub
from local.network.client import Network
from local.ports import free_port
from local.processes import Child, Processes
from tests.local.network.driver import ANA, Driver
from tests.local.running import running


@dataclass(frozen=True)
class Address:
    socket: Path
    control_port: int
    process: Child


@pytest.fixture(scope="session")
def network_address(processes: Processes) -> Iterator[Address]:
    socket, control_port = processes.folder / "network.sock", free_port()
    arguments = ["--socket", str(socket), "--control-port", str(control_port)]
    with running(processes, "local.network", *arguments) as process:
        yield Address(socket, control_port, process)


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
