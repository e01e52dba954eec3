"""Which version of WhatsApp Web the engine names, and what it does when WhatsApp refuses the version."""

from tests.engine.conftest import PHONE, Linked
from tests.engine.running import RunningEngine, State
from tests.engine.stores import PostgresStore
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.versions import BUILT_IN

NEWER, NEWEST = BUILT_IN + 10, BUILT_IN + 20


async def _fetched(server: WhatsAppServer, engine: RunningEngine) -> None:
    await server.until(lambda: _logs(engine, "web_version_fetched"), what="the newest version")


def _logs(engine: RunningEngine, event: str) -> int:
    return sum(f'"{event}"' in line for line in engine.log)


async def test_the_newest_version_is_fetched_at_the_start_and_named_at_the_next_connect(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    server.versions.newest = NEWER
    await engine.kill()
    await engine.start()
    await _fetched(server, engine)
    account = engine.account("shop")
    await account.open()
    await account.connected()
    assert server.versions.seen[-1] == NEWER


async def test_a_stored_version_is_named_while_the_page_is_down(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    server.versions.newest = NEWER
    await engine.kill()
    await engine.start()
    await _fetched(server, engine)
    await engine.kill()
    server.versions.newest = None
    server.versions.oldest = NEWER
    await engine.start()
    account = engine.account("shop")
    await account.open()
    await account.connected()
    assert server.versions.seen[-1] == NEWER


async def test_engines_of_one_postgresql_share_the_version(server: WhatsAppServer, store: PostgresStore) -> None:
    server.versions.newest = NEWER
    async with RunningEngine(store=store.address("first"), environment=server.environment()) as first:
        await _fetched(server, first)
    server.versions.newest = None
    async with RunningEngine(store=store.address("second"), environment=server.environment()) as second:
        account = second.account("shop")
        await account.open()
        await account.pair()
        assert server.versions.seen[-1] == NEWER


async def test_a_refused_version_is_replaced_by_the_newest_and_the_account_goes_on(
    server: WhatsAppServer, linked: Linked
) -> None:
    server.versions.newest = server.versions.oldest = NEWER
    server.faults.drop(linked.device)
    await linked.account.until_state(State.CONNECTED, after=3)
    assert linked.account.states[2:] == ["RECONNECTING", "CONNECTED"]
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")


async def test_the_newest_version_is_refused_too(server: WhatsAppServer, linked: Linked) -> None:
    server.versions.newest, server.versions.oldest = NEWER, NEWEST
    server.faults.drop(linked.device)
    ended = await linked.account.until_state(State.OUTDATED)
    assert ended.reason == "client_outdated"
    assert server.versions.seen[-1] == NEWER, "the newest version was tried"


async def test_a_page_that_is_down_does_not_end_the_account(server: WhatsAppServer, linked: Linked) -> None:
    server.versions.newest, server.versions.oldest = None, NEWER
    fetches = server.versions.fetches
    server.faults.drop(linked.device)
    await server.until(lambda: server.versions.fetches > fetches, what="a look at the page")
    server.versions.newest = NEWER
    await linked.account.until_state(State.CONNECTED, after=3, within_s=60)
    assert "OUTDATED" not in linked.account.states


async def test_many_sessions_that_are_refused_ask_once(server: WhatsAppServer, engine: RunningEngine) -> None:
    accounts = []
    for number in range(4):
        phone, account = server.add_phone(f"+4071111111{number}"), engine.account(f"shop-{number}")
        await account.open()
        device = await phone.scan((await account.pair()).qr)
        await account.connected()
        await device.caught_up()
        accounts.append((account, device))
    fetches = server.versions.fetches
    server.versions.newest = server.versions.oldest = NEWER
    for _, device in accounts:
        server.faults.drop(device)
    for account, _ in accounts:
        await account.until_state(State.CONNECTED, after=3)
    assert server.versions.fetches == fetches + 1


async def test_pairing_goes_on_with_the_newest_version(server: WhatsAppServer, engine: RunningEngine) -> None:
    phone, account = server.add_phone(PHONE), engine.account("shop")
    server.versions.newest = server.versions.oldest = NEWER
    await account.open()
    await phone.scan((await account.pair()).qr)
    await account.connected()


async def test_a_version_from_the_environment_is_named_and_nothing_is_fetched(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    await engine.kill()
    fetches = server.versions.fetches
    await engine.start(ENGINE_WEB_VERSION=f"2.3000.{NEWEST}")
    account = engine.account("shop")
    await account.open()
    await account.connected()
    assert server.versions.seen[-1] == NEWEST
    server.versions.oldest = NEWEST + 1
    server.faults.drop(linked.device)
    assert (await account.until_state(State.OUTDATED)).reason == "fixed_version_outdated"
    assert server.versions.fetches == fetches
