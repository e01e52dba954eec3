"""A project for each test, and the stages of the connector's and the functions' own tests."""

import secrets
from collections.abc import Iterator

import pytest
from google.cloud.firestore import Client

from tests.connector.conftest import simulated_stage
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine

__all__ = ["inbox", "simulated_stage"]


@pytest.fixture
def inbox(firestore_emulator: str) -> Iterator[Inbox]:
    project = f"demo-admin-{secrets.token_hex(4)}"
    client = Client(project=project)
    yield Inbox(db=client, admin=CommandLine(project=project))
    client.close()
