"""A session store whose tables a newer engine has upgraded: what an older one beside it does, and whether it opens it again."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.conftest import Linked, link
from tests.engine.running import EngineEnded, Outcome, RunningEngine
from tests.engine.stores import PostgresStore
from tests.whatsapp import WhatsAppServer

_NEWER = """
ALTER TABLE whatsmeow_device ADD COLUMN newer TEXT NOT NULL DEFAULT '';
CREATE TABLE whatsmeow_newer (our_jid TEXT PRIMARY KEY);
CREATE TABLE engine_newer (account_id TEXT PRIMARY KEY);
UPDATE whatsmeow_version SET version = version + 1, compat = """
"""What whatsmeow's last upgrades were made of, and a table of the engine's own."""


@pytest.fixture
async def linked(server: WhatsAppServer, store: PostgresStore) -> AsyncIterator[Linked]:
    async with RunningEngine(store=store.address("older"), environment=server.environment()) as engine:
        linked = await link(server, engine)
        yield linked
        await linked.account.leave()
        await server.settle()


async def converses(linked: Linked, text: str, whatsapp_id: str) -> None:
    await linked.ana.send(linked.phone, text)
    await linked.account.until_message(text)
    sent = await linked.account.send(linked.ana_jid, whatsapp_id, text)
    assert sent.outcome == Outcome.SENT


async def test_where_the_older_version_is_compatible_it_goes_on_and_opens_the_store_again(
    linked: Linked, store: PostgresStore
) -> None:
    await converses(linked, "before", "3EB0000000000000000001")
    await store.query(f"{_NEWER} compat")
    await converses(linked, "beside a newer one", "3EB0000000000000000002")
    await linked.account.leave()
    await linked.account.engine.stop()
    await linked.account.engine.start()
    linked.account.session.epoch += 1
    await linked.account.open()
    await linked.account.connected()
    await converses(linked, "back again", "3EB0000000000000000003")


async def test_where_it_is_not_it_is_refused_when_it_starts_and_not_before(
    linked: Linked, store: PostgresStore
) -> None:
    await store.query(f"{_NEWER} version + 1")
    await converses(linked, "not asked", "3EB0000000000000000001")
    await linked.account.leave()
    await linked.account.engine.stop()
    with pytest.raises(EngineEnded, match="the store was upgraded by a newer engine"):
        await linked.account.engine.start()


async def test_whichever_engine_starts_last_has_its_own_guard_stand_in_the_store(
    linked: Linked, store: PostgresStore
) -> None:
    guard = "SELECT prosrc FROM pg_proc WHERE proname = 'engine_owned'"
    before = await store.query(guard)
    newer = "CREATE OR REPLACE FUNCTION engine_owned(account TEXT, owned_epoch BIGINT) RETURNS VOID LANGUAGE plpgsql"
    await store.query(f"{newer} AS $$ BEGIN PERFORM 'newer'; END $$")
    await linked.account.leave()
    await linked.account.engine.stop()
    await linked.account.engine.start()
    assert await store.query(guard) == before
