"""A stanza that cannot be handled stops neither its account nor another one: after two failures it is isolated and told of."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked, link
from tests.engine.running import Account, RunningEngine, State
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.jid import SERVER
from tests.whatsapp.node import Node

POISON = "3EB0D00D"
STATUS_OF_A_PANIC = 2


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Two accounts at one engine, with a contact each."""

    engine: RunningEngine
    shop: Linked
    other: Linked

    async def open(self) -> tuple[Account, Account]:
        accounts = self.engine.account("shop"), self.engine.account("other")
        for account in accounts:
            await account.open()
        return accounts


@pytest.fixture
async def shard(server: WhatsAppServer, either_store: str) -> AsyncIterator[Shard]:
    async with RunningEngine(store=either_store, environment=server.environment()) as engine:
        shop = await link(server, engine)
        other = await link(server, engine, "other", "+40733333333", "+40744444444")
        yield Shard(engine=engine, shop=shop, other=other)
        await server.settle()


def isolated(account: Account) -> list[pb.MessageReceived]:
    return [message for message in account.messages if message.unsupported == "isolated"]


def logged(engine: RunningEngine, event: str) -> int:
    return sum(f'"event":"{event}"' in line for line in engine.log)


async def write_around_the_poison(shard: Shard) -> None:
    """While the engine is away."""
    await shard.engine.kill()
    for text, message_id in (("before", None), ("poison", POISON), ("after", None)):
        await shard.shop.ana.send(shard.shop.phone, text, id=message_id)
    await shard.other.ana.send(shard.other.phone, "of another account")


async def test_a_stanza_that_crashes_the_process_is_isolated_after_the_second_crash(shard: Shard) -> None:
    """The panic is on a thread of whatsmeow's, where nobody recovers."""
    await write_around_the_poison(shard)
    taken: list[str] = []
    for _ in range(2):
        await shard.engine.start(WIRE_PANIC_AT=f"stanza.came:{POISON}")
        shop, other = shard.engine.account("shop"), shard.engine.account("other")
        await other.open()
        await other.until_message("of another account")
        await shop.open()
        assert await shard.engine.gone() == STATUS_OF_A_PANIC
        assert isolated(shop) == []
        taken += shop.texts()
        await shop.leave()
        await other.leave()
        await shard.other.ana.send(shard.other.phone, "of another account")
    await shard.engine.start(WIRE_PANIC_AT=f"stanza.came:{POISON}")
    shop, other = await shard.open()
    await shop.until_message("after")
    await other.until_message("of another account")
    assert {*taken, *shop.texts()} >= {"before", "after"}
    (told,) = isolated(shop)
    assert (told.whatsapp_id, told.push_name) == (POISON, "Ana")
    event = next(event for event in shop.events if event.message == told)
    assert POISON.encode() in event.wire or bytes.fromhex(POISON) in event.wire, "it is kept as it came"
    await shard.shop.device.caught_up()
    await shard.other.device.caught_up()
    assert logged(shard.engine, "stanza_isolated") == 1
    assert "RECONNECTING" not in shop.states + other.states
    await shop.leave()
    await other.leave()


async def test_a_stanza_whose_handler_panics_is_isolated_after_the_second_time(shard: Shard) -> None:
    await write_around_the_poison(shard)
    await shard.engine.start(WIRE_PANIC_AT=f"inbox.entry:{POISON}")
    shop, other = await shard.open()
    await shop.until_message("after", 40)
    assert shop.texts() == ["before", "", "after"]
    (told,) = isolated(shop)
    assert told.whatsapp_id == POISON
    assert shop.states.count("RECONNECTING") == 1, "it was given back once"
    await shard.shop.device.caught_up()
    await other.until_message("of another account")
    assert other.states == ["CONNECTING", "CONNECTED"]
    assert (logged(shard.engine, "handler_panicked"), logged(shard.engine, "stanza_isolated")) == (2, 1)
    await shop.leave()
    await other.leave()


async def test_an_isolated_stanza_stays_so_after_a_restart(shard: Shard) -> None:
    await write_around_the_poison(shard)
    await shard.engine.start(WIRE_PANIC_AT=f"inbox.entry:{POISON}")
    shop, other = await shard.open()
    await shop.until_state(State.RECONNECTING)  # after the first failure
    await shop.leave()
    await other.leave()
    await shard.engine.kill()
    await shard.engine.start(WIRE_PANIC_AT=f"inbox.entry:{POISON}")
    shop, other = await shard.open()
    await shop.until_message("after", 40)
    assert len(isolated(shop)) == 1
    assert "RECONNECTING" not in shop.states, "the failure before the restart counts"
    await shop.leave()
    await other.leave()


async def test_an_account_that_crashes_the_process_without_a_stanza_is_held(shard: Shard) -> None:
    """The cause is nothing that WhatsApp hands over again until it is answered, so it cannot be isolated."""
    poison = f"stanza.came:{POISON}"
    await shard.shop.account.leave()
    await shard.other.account.leave()
    await shard.engine.kill()
    for _ in range(2):
        await shard.engine.start(WIRE_PANIC_AT=poison)
        await shard.engine.account("shop").claim()
        await shard.shop.device.ready()
        shard.shop.device.need_connection().send(Node("ib", {"from": SERVER, "id": POISON}, [Node("thread_metadata")]))
        assert await shard.engine.gone() == STATUS_OF_A_PANIC
    await shard.engine.start(WIRE_PANIC_AT=poison)
    shop, other = await shard.open()
    held = await shop.until_state(State.QUARANTINED)
    assert held.reason == "engine_crashed"
    await shard.other.ana.send(shard.other.phone, "goes on")
    await other.until_message("goes on")
    assert shop.states == ["QUARANTINED"]
    await shop.claim()  # somebody asks for it
    await shop.connected()
    await shop.leave()
    await other.leave()
