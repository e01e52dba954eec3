"""The Emulator Suite with everything that belongs to it, once over each network, for the tests that look at it from outside."""

import os
from collections.abc import Iterator

import pytest

from local import suite
from local.network.client import Network
from local.processes import Processes
from local.suite import Suite
from local.suite_ports import SuitePorts
from local.whatsapp import NetworkKind
from tests.e2e.outside import Outside, User


@pytest.fixture(scope="session", params=list(NetworkKind))
def network_kind(request: pytest.FixtureRequest) -> NetworkKind:
    return NetworkKind(request.param)


@pytest.fixture(scope="session")
def running_suite(network_kind: NetworkKind) -> Iterator[Suite]:
    with Processes(purpose="suite", ends_with_parent="MAKELEVEL" in os.environ) as processes:
        yield suite.start(processes, SuitePorts.free(), lambda _: None, network=network_kind)


@pytest.fixture(scope="session")
def outside(running_suite: Suite) -> Outside:
    return Outside(suite=running_suite, network=Network(running_suite.ports.network_control))


@pytest.fixture(scope="session")
def super_admin(outside: Outside) -> User:
    return outside.sign_up("root@example.com", "superAdmin")


@pytest.fixture(scope="session")
def employee(outside: Outside) -> User:
    return outside.sign_up("ana@example.com", "employee")
