"""A short campaign on each store. `make fuzz` runs longer ones."""

import pytest

from tests.engine.conftest import either_store, link, postgres_server
from tests.engine.running import RunningEngine
from tests.fuzz.campaign import Campaign
from tests.whatsapp import WhatsAppServer

__all__ = ["either_store", "postgres_server"]  # fixtures of the engine's tests

_SEED = 19
_SECONDS = 10.0


@pytest.mark.timeout(180)
async def test_no_stanza_stops_the_account_or_is_lost(either_store: str) -> None:
    server = WhatsAppServer()
    async with server, RunningEngine(store=either_store, environment=server.environment()) as engine:
        linked = await link(server, engine)
        report = await Campaign(server=server, engine=engine, linked=linked, seed=_SEED).run(seconds=_SECONDS)
    assert report.crashes == [], str(report)
    assert report.findings == [], str(report)
    assert report.logged == {}, f"a stanza was too much for the engine: {report}"
    assert report.throws > 0
    assert report.judged > 0
