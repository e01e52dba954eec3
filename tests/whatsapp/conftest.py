"""A linked engine for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.whatsapp import WhatsAppServer
from tests.whatsapp.linked import Linked, linked


@pytest.fixture(name="here")
async def _here(tmp_path: Path) -> AsyncIterator[Linked]:
    async with WhatsAppServer() as server, linked(server, tmp_path) as here:
        yield here
