"""When the account's phone is seen, and that a ping is answered by a phone that is on."""

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import Linked
from tests.engine.running import Account, RunningEngine
from tests.whatsapp import WhatsAppServer


def _sights(account: Account) -> list[int]:
    return [event.phone_seen.at_unix_s for event in account.events if event.WhichOneof("kind") == "phone_seen"]


async def _reopened(linked: Linked, engine: RunningEngine) -> Account:
    """The engine reports each sign of the phone. What the phone said at pairing was reported before the test begins."""
    await engine.kill()
    await engine.start(WIRE_PHONE_MS="0")
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await linked.device.caught_up()
    account.events.clear()
    return account


async def test_the_phone_is_seen_when_it_is_linked(linked: Linked) -> None:
    """It speaks to the new device."""
    await linked.account.until(lambda: _sights(linked.account), "a sight of the phone")


async def test_the_phone_is_seen_when_somebody_writes_on_it(linked: Linked, engine: RunningEngine) -> None:
    account = await _reopened(linked, engine)
    written = await linked.phone.write(linked.ana, "typed on the phone")
    await account.until_message("typed on the phone")
    assert _sights(account) == [written.timestamp_s]


async def test_contacts_and_the_server_are_not_the_phone(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    account = await _reopened(linked, engine)
    await linked.ana.send(linked.phone, "hello")
    await account.until_message("hello")
    await account.send(linked.ana_jid, "3EB0AABBCCDDEEFF0022", "an answer")
    linked.phone.rename("Another name")
    await server.until(lambda: linked.phone.announced_name == "Another name", what="the new name")
    assert _sights(account) == []


async def test_what_waited_tells_when_the_phone_spoke_not_when_it_came(linked: Linked, engine: RunningEngine) -> None:
    await engine.kill()
    written = await linked.phone.write(linked.ana, "typed meanwhile")
    await engine.start(WIRE_PHONE_MS="0")
    account = engine.account("shop")
    await account.open()
    await account.until_message("typed meanwhile")
    assert _sights(account) == [written.timestamp_s]


async def test_a_phone_that_is_on_answers_a_ping(linked: Linked, engine: RunningEngine) -> None:
    account = await _reopened(linked, engine)
    await account.stub.PingPhone(pb.PingPhoneRequest(session=account.session), timeout=10)
    await account.until(lambda: _sights(account), "a sight of the phone")
    assert linked.phone.key_requests == 1


async def test_a_phone_that_is_off_is_not_seen(server: WhatsAppServer, linked: Linked, engine: RunningEngine) -> None:
    account = await _reopened(linked, engine)
    server.faults.phone_off(phone=linked.phone)
    await account.stub.PingPhone(pb.PingPhoneRequest(session=account.session), timeout=10)
    await server.until(lambda: linked.phone.key_requests, what="the ping")
    await linked.ana.send(linked.phone, "after the ping")
    await account.until_message("after the ping")
    assert _sights(account) == []


async def test_a_session_that_is_not_connected_cannot_ping(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.login_failure(linked.phone, 503)
    server.faults.drop(linked.device)
    await linked.account.until(lambda: "RECONNECTING" in linked.account.states, "the loss")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await linked.account.stub.PingPhone(pb.PingPhoneRequest(session=linked.account.session), timeout=10)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
