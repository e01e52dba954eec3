"""What only PostgreSQL lets a test do to a running engine's store: fail for one event and for no other."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.conftest import Linked, link
from tests.engine.running import RunningEngine, State
from tests.engine.stores import PostgresStore
from tests.whatsapp import WhatsAppServer

_REFUSE = """
CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
CREATE TRIGGER refused BEFORE INSERT ON engine_inbox FOR EACH ROW
    WHEN (position(convert_to('not yet', 'UTF8') IN NEW.event) > 0) EXECUTE FUNCTION refuse();
"""


@pytest.fixture
async def linked(server: WhatsAppServer, store: PostgresStore) -> AsyncIterator[Linked]:
    environment = {**server.environment(), "WIRE_STORE_MS": "300"}
    async with RunningEngine(store=store.address("engine"), environment=environment) as engine:
        linked = await link(server, engine)
        yield linked
        await linked.account.leave()
        await server.settle()


async def test_nothing_overtakes_an_event_that_was_given_back(
    server: WhatsAppServer, linked: Linked, store: PostgresStore
) -> None:
    """Until it can be stored it is not acknowledged, nor is what came after it on the same connection."""
    await linked.ana.send(linked.phone, "before")
    await linked.account.until_message("before")
    await linked.device.caught_up()
    await store.query(_REFUSE)
    for text in ("not yet", "after", "after that"):
        await linked.ana.send(linked.phone, text)
    given_back = await linked.account.until_state(State.RECONNECTING)
    assert given_back.reason == "store_failed"
    assert len(linked.device.waiting) == 3, "WhatsApp is told of none"
    assert linked.account.texts() == ["before"]
    await store.query("DROP TRIGGER refused ON engine_inbox")
    await linked.account.until_message("after that", 40)
    assert linked.account.texts() == ["before", "not yet", "after", "after that"]
    await linked.device.caught_up()
