"""Names that a contact chooses, such as message ids, go into the session store. No name stops an account, on either store."""

from collections.abc import AsyncIterator

import pytest

from tests.engine.conftest import Linked, link
from tests.engine.running import Account, RunningEngine
from tests.whatsapp import WhatsAppServer
from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.protobufs import e2e

ODD = {
    "a NUL": "EF\0GH",
    "bytes that are not UTF-8": "3A\udcff\udc80",
    "a long one": "".join(f"{(number * 2654435761) % 65536:04x}" for number in range(3000)),
    "a long one with a NUL": "\0" + "7A" * 6000,
    "SQL wildcards and quotes": "%'_\"\\",
    "the form of a stored hash": "sha256:" + "0" * 64,
}


@pytest.fixture
async def engine(server: WhatsAppServer, either_store: str) -> AsyncIterator[RunningEngine]:
    async with RunningEngine(store=either_store, environment=server.environment()) as engine:
        yield engine


@pytest.fixture
async def linked(server: WhatsAppServer, engine: RunningEngine) -> AsyncIterator[Linked]:
    linked = await link(server, engine)
    yield linked
    await server.settle()


def with_secret(text: str) -> "e2e.Message":
    """A text as phones send it: its secret is stored under the message's id."""
    message = e2e.Message(conversation=text)
    message.messageContextInfo.messageSecret = bytes(range(32))
    return message


def shown(name: str) -> str:
    """As the contract gives it."""
    return name.encode(errors="surrogateescape").decode(errors="replace").replace("��", "�")


async def back(engine: RunningEngine) -> Account:
    await engine.start()
    account = engine.account("shop")
    await account.open()
    return account


def errors(engine: RunningEngine) -> list[str]:
    return [line for line in engine.log if '"severity":"ERROR"' in line]


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
async def test_texts_that_waited_come_whatever_their_ids_are(linked: Linked, engine: RunningEngine, name: str) -> None:
    await engine.kill()
    for text, message_id in (("first", "A1"), ("second", name), ("third", "A3")):
        await linked.ana.send_message(linked.phone, with_secret(text), id=message_id)
    account = await back(engine)
    await account.until_message("third")
    assert account.texts() == ["first", "second", "third"]
    assert account.messages[1].whatsapp_id == shown(name)
    await linked.device.caught_up()
    assert account.states == ["CONNECTING", "CONNECTED"]
    assert errors(engine) == []
    await account.leave()


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
async def test_what_else_names_an_odd_id_is_taken(linked: Linked, name: str) -> None:
    linked.ana.name = name
    linked.ana.receipt(linked.phone, [name, "3EB0AA"], "read")
    await linked.account.until(lambda: linked.account.receipts, "the receipt")
    assert list(linked.account.receipts[0].whatsapp_ids) == [shown(name), "3EB0AA"]
    await linked.ana.send_message(linked.phone, with_secret("live"), id=name)
    await linked.account.until_message("live")
    linked.ana.call(linked.phone, id=name)
    await linked.ana.send(linked.phone, "after it")
    await linked.account.until_message("after it")
    assert [message.whatsapp_id for message in linked.account.messages][:2] == [shown(name)] * 2
    await linked.device.caught_up()
    assert "RECONNECTING" not in linked.account.states
    assert errors(linked.account.engine) == []


async def test_a_sender_whose_name_is_a_pattern_harms_no_other_contacts_ratchet(
    server: WhatsAppServer, linked: Linked
) -> None:
    """whatsmeow removes a sender's former ratchets by a pattern that begins with the sender's name."""
    server.forgive("unknown_retry")  # of the message that nobody sent
    await linked.ana.send(linked.phone, "before")
    await linked.account.until_message("before")
    eve = Jid("%")
    sealed = [Node("enc", {"v": 2, "type": "msg"}, b"no ciphertext")]
    attributes: dict[str, Attribute] = {
        "from": eve,
        "sender_lid": Jid("7", "lid"),
        "id": "3A01",
        "type": "text",
        "t": 1,
    }
    linked.device.deliver(Node("message", attributes, sealed))
    identity = Node("notification", {"from": eve, "id": "1", "type": "encrypt", "t": 1}, [Node("identity")])
    linked.device.deliver(identity)
    await linked.device.caught_up()
    written = await linked.ana.send(linked.phone, "after")
    await linked.account.until_message("after")
    awaited = [event.awaited.whatsapp_id for event in linked.account.events if event.HasField("awaited")]
    assert written.id not in awaited


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
async def test_a_message_with_an_odd_id_that_cannot_be_decrypted_comes_when_it_is_sent_again(
    server: WhatsAppServer, linked: Linked, name: str
) -> None:
    server.faults.corrupt_next(linked.ana)
    await linked.ana.send_message(linked.phone, with_secret("in two tries"), id=name)
    message = await linked.account.until_message("in two tries")
    assert message.whatsapp_id == shown(name)
    await linked.device.caught_up()
    assert "RECONNECTING" not in linked.account.states
