"""What only PostgreSQL lets a test do to a running engine's store: fail for one event and for no other."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked, link
from tests.engine.running import PATIENCE_S, RunningEngine, State
from tests.engine.stores import PostgresStore
from tests.whatsapp import WhatsAppServer

_REFUSE = """
CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
CREATE TRIGGER refused BEFORE INSERT ON engine_inbox FOR EACH ROW
    WHEN (position(convert_to('not yet', 'UTF8') IN NEW.event) > 0) EXECUTE FUNCTION refuse();
"""

_NEVER = _REFUSE.replace("'no room'", "'no' USING ERRCODE = '22021'").replace("not yet", "poison")
"""An error of class 22: PostgreSQL will not take this value, however often it is tried."""


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


async def test_history_and_long_messages_pass_through_this_store_too(linked: Linked, store: PostgresStore) -> None:
    """The statements that add sizes up, and that write content in pieces, are this database's own reading of them."""
    texts = [f"{number} " + "x" * 200_000 for number in range(4)]
    past = [await linked.ana.send(linked.phone, text) for text in texts]
    await linked.account.until_message(texts[-1])
    assert linked.account.texts() == texts
    await linked.phone.send_history(linked.device, conversations=[(linked.ana, past)], upload=True)
    await linked.device.caught_up()
    deadline = time.monotonic() + PATIENCE_S
    while (kept := await store.query("SELECT sync_type, bytes FROM engine_history_parts")) == "":
        assert time.monotonic() < deadline, "the history is not kept"
        await asyncio.sleep(0.05)
    (line,) = kept.splitlines()
    sync_type, size = line.split("|")
    assert sync_type == "RECENT"
    assert await store.query("SELECT SUM(LENGTH(content)) FROM engine_history_chunks") == f"{size}\n"
    await linked.account.stub.Logout(pb.LogoutRequest(session=linked.account.session), timeout=PATIENCE_S)
    assert await store.query("SELECT COUNT(*) FROM engine_history_chunks") == "0\n"


async def test_an_event_that_the_store_refuses_for_good_is_isolated_after_the_second_time(
    linked: Linked, store: PostgresStore
) -> None:
    await store.query(_NEVER)
    for text in ("before", "poison", "after"):
        await linked.ana.send(linked.phone, text)
    await linked.account.until_message("after", 40)
    shown = [message.text or message.unsupported for message in linked.account.messages]
    assert shown == ["before", "isolated", "after"]
    assert linked.account.states.count("RECONNECTING") == 1
    kept = await store.query("SELECT failures, reason, length(wire) > 0 FROM engine_quarantine")
    assert kept == "2|store_refused|t\n"
    await linked.device.caught_up()
