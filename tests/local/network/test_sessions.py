"""Whose session it is, and what befalls it."""

from collections.abc import Awaitable, Callable
from functools import partial

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from local.network.client import Network
from local.network.contacts import lid_of
from local.network.faults import FaultKind
from local.network.trouble import Break
from tests.local.network.driver import ANA, ANA_JID, SHOP, Driver, ends_ms, in_ms

Call = Callable[[Driver, pb.Session], Awaitable[object]]
CALLS: dict[str, Call] = {
    "Open": lambda driver, session: driver.engine.Open(pb.OpenRequest(session=session, term_ends_ms=ends_ms(60))),
    "Extend": lambda driver, session: driver.engine.Extend(pb.ExtendRequest(session=session, term_ends_ms=ends_ms(60))),
    "Close": lambda driver, session: driver.engine.Close(pb.CloseRequest(session=session)),
    "Events": lambda driver, session: driver.engine.Events(pb.EventsRequest(session=session)).read(),
    "Acknowledge": lambda driver, session: driver.engine.Acknowledge(pb.AcknowledgeRequest(session=session)),
    "Pair": lambda driver, session: driver.engine.Pair(pb.PairRequest(session=session)),
    "Logout": lambda driver, session: driver.engine.Logout(pb.LogoutRequest(session=session)),
    "Send": lambda driver, session: driver.engine.Send(
        pb.SendRequest(session=session, chat_jid=ANA_JID, whatsapp_id="3EB0A", text="hello", not_after_unix_ms=in_ms(5))
    ),
    "IsOnWhatsApp": lambda driver, session: driver.engine.IsOnWhatsApp(
        pb.IsOnWhatsAppRequest(session=session, phone_e164=ANA)
    ),
    "MarkRead": lambda driver, session: driver.engine.MarkRead(
        pb.MarkReadRequest(session=session, chat_jid=ANA_JID, whatsapp_ids=["3A0A"])
    ),
    "RequestHistory": lambda driver, session: driver.engine.RequestHistory(
        pb.RequestHistoryRequest(session=session, chat_jid=ANA_JID, whatsapp_id="3A0A", timestamp_s=1, count=50)
    ),
    "AnswerPasskey": lambda driver, session: driver.engine.AnswerPasskey(pb.AnswerPasskeyRequest(session=session)),
    "PingPhone": lambda driver, session: driver.engine.PingPhone(pb.PingPhoneRequest(session=session)),
}
IDEMPOTENT_WHEN_CLOSED = {"Open", "Close"}


def test_every_call_of_the_contract_is_tried() -> None:
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["Engine"].methods}
    assert CALLS.keys() | {"Hello", "CheckStore"} == methods, "these two are about no session"


@pytest.mark.parametrize("call", CALLS)
async def test_a_stale_epoch_is_refused_everywhere(driver: Driver, call: str) -> None:
    await driver.connected()
    await driver.open(epoch=2)
    with pytest.raises(grpc.aio.AioRpcError, match="stale") as refused:
        await CALLS[call](driver, driver.session(epoch=1))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("call", sorted(CALLS.keys() - IDEMPOTENT_WHEN_CLOSED))
async def test_an_account_that_is_not_open_is_not_found(driver: Driver, call: str) -> None:
    await driver.connected()
    await driver.close()
    for session in (driver.session(epoch=1), driver.session(epoch=7), driver.session(account="nobody")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await CALLS[call](driver, session)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("call", sorted(CALLS.keys() - IDEMPOTENT_WHEN_CLOSED))
async def test_an_epoch_that_was_not_opened_is_not_found(driver: Driver, call: str) -> None:
    events = await driver.connected()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await CALLS[call](driver, driver.session(epoch=2))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    await driver.close()
    assert await events.has_ended()


@pytest.mark.parametrize("call", CALLS)
async def test_a_session_without_name_or_epoch_is_malformed(driver: Driver, call: str) -> None:
    for session in (pb.Session(account_id="shop"), pb.Session(epoch=1)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await CALLS[call](driver, session)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_higher_epoch_takes_the_session_over_and_ends_the_old_stream(driver: Driver, network: Network) -> None:
    old = await driver.connected()
    network.write(ANA, SHOP, "not acknowledged")
    await old.texts(1)

    await driver.open(epoch=2)

    assert (await old.next_state()).state == pb.SessionChanged.REPLACED
    assert await old.has_ended()
    new = driver.events(epoch=2)
    assert [(await new.next_state()).state for _ in range(2)] == [
        pb.SessionChanged.CONNECTING,
        pb.SessionChanged.CONNECTED,
    ]
    assert await new.texts(1) == ["not acknowledged"]


async def test_opening_again_with_the_same_epoch_changes_nothing(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    assert await driver.open() == pb.OpenResponse(paired=True, phone_e164=SHOP)
    network.write(ANA, SHOP, "next")
    assert await events.texts(1) == ["next"]


async def test_closing_ends_the_stream_and_may_be_done_twice(driver: Driver) -> None:
    events = await driver.connected()
    await driver.close()
    assert await events.has_ended()
    await driver.close()


async def test_a_broken_connection_is_told_and_mended(driver: Driver, network: Network) -> None:
    events = await driver.connected()

    network.disconnect(SHOP, Break.STREAM_ERROR, 599)
    network.write(ANA, SHOP, "meanwhile")

    lost = await events.next_state()
    assert (lost.state, lost.reason) == (pb.SessionChanged.RECONNECTING, "stream_error_599")
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.NOT_CONNECTED
    assert network.frames() == []
    network.reconnect(SHOP)
    assert (await events.next_state()).state == pb.SessionChanged.CONNECTED
    assert await events.texts(1) == ["meanwhile"]


async def test_a_session_opened_without_network_connects_when_it_is_back(driver: Driver, network: Network) -> None:
    await driver.connected()
    network.disconnect(SHOP)
    await driver.open(epoch=2)
    events = driver.events(epoch=2)
    assert (await events.next_state()).state == pb.SessionChanged.CONNECTING
    refused = await events.next_state()
    assert (refused.state, refused.reason) == (pb.SessionChanged.RECONNECTING, "connect_failure_503")

    network.reconnect(SHOP)

    assert (await events.next_state()).state == pb.SessionChanged.CONNECTED


@pytest.mark.parametrize(
    ("end", "states"),
    [
        (Network.log_out, ["LOGGED_OUT device_removed"]),
        (Network.replace, ["REPLACED conflict"]),
        (partial(Network.refuse_logins, code=401), ["RECONNECTING stream_error_503", "LOGGED_OUT connect_failure_401"]),
        (partial(Network.refuse_logins, code=402), ["RECONNECTING stream_error_503", "BANNED temporary_ban"]),
        (partial(Network.refuse_logins, code=405), ["RECONNECTING stream_error_503", "OUTDATED client_outdated"]),
    ],
)
async def test_whatsapp_may_end_a_session(
    driver: Driver, network: Network, end: Callable[[Network, str], None], states: list[str]
) -> None:
    events = await driver.connected()
    end(network, SHOP)
    told = [await events.next_state() for _ in states]
    assert [f"{pb.SessionChanged.State.Name(change.state)} {change.reason}" for change in told] == states
    assert (await driver.send("3EB0A")).outcome == pb.SendResponse.NOT_CONNECTED


@pytest.mark.parametrize("code", [402, 405])
async def test_a_barred_session_is_let_in_again_only_when_the_bar_is_lifted(
    driver: Driver, network: Network, code: int
) -> None:
    events = await driver.connected()
    network.refuse_logins(SHOP, code)
    assert (await events.next_state()).state == pb.SessionChanged.RECONNECTING
    barred = (await events.next_state()).state

    await driver.open()
    assert [(await events.next_state()).state for _ in range(2)] == [pb.SessionChanged.CONNECTING, barred]
    network.reconnect(SHOP)
    await driver.open()

    assert [(await events.next_state()).state for _ in range(2)] == [
        pb.SessionChanged.CONNECTING,
        pb.SessionChanged.CONNECTED,
    ]


async def test_a_replaced_session_connects_when_it_is_opened_again(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    network.replace(SHOP)
    await events.next_state()

    await driver.open()

    assert [(await events.next_state()).state for _ in range(2)] == [
        pb.SessionChanged.CONNECTING,
        pb.SessionChanged.CONNECTED,
    ]


async def test_a_device_that_was_unlinked_while_closed_learns_it_on_opening(driver: Driver, network: Network) -> None:
    await driver.connected()
    await driver.close()
    network.log_out(SHOP)

    assert (await driver.open(epoch=2)).paired

    events = driver.events(epoch=2)
    assert [(await events.next_state()).state for _ in range(2)] == [
        pb.SessionChanged.CONNECTING,
        pb.SessionChanged.LOGGED_OUT,
    ]
    await driver.pair(epoch=2)
    assert (await events.next()).HasField("pairing_code")


async def test_numbers_are_looked_up(driver: Driver, network: Network) -> None:
    events = await driver.connected()

    async def look_up(phone: str) -> pb.IsOnWhatsAppResponse:
        return await driver.engine.IsOnWhatsApp(pb.IsOnWhatsAppRequest(session=driver.session(), phone_e164=phone))

    assert await look_up(ANA) == pb.IsOnWhatsAppResponse(registered=True, jid=lid_of(ANA))
    assert await look_up("+40799999999") == pb.IsOnWhatsAppResponse(registered=False)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await look_up("40712345678")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    network.disconnect(SHOP)
    await events.next_state()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await look_up(ANA)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_what_was_read_is_told_to_the_contact(driver: Driver, network: Network) -> None:
    events = await driver.connected()

    async def mark(*whatsapp_ids: str, chat_jid: str = ANA_JID) -> None:
        request = pb.MarkReadRequest(session=driver.session(), chat_jid=chat_jid, whatsapp_ids=whatsapp_ids)
        await driver.engine.MarkRead(request)

    await mark("3A0A", "3A0B")
    await mark("3A0C", chat_jid=network.contacts()[ANA].lid)
    await mark("3A0D", chat_jid="40799999999@s.whatsapp.net")  # nobody is there to be told
    assert network.marked(account=SHOP, contact=ANA) == network.marked()
    assert [(told.account, told.contact, told.whatsapp_ids) for told in network.marked()] == [
        (SHOP, ANA, ["3A0A", "3A0B"]),
        (SHOP, ANA, ["3A0C"]),
    ]
    for malformed in (mark(), mark(""), mark("3A0A", chat_jid="status@broadcast")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await malformed
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    network.disconnect(SHOP)
    await events.next_state()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mark("3A0A")
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_reset_forgets_accounts_records_and_faults(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    await driver.send("3EB0A")
    network.fault(FaultKind.NOT_SENT, times=None)

    network.reset()

    while not await events.has_ended():
        pass
    assert (network.accounts(), network.contacts(), network.frames()) == ({}, {}, [])
    network.add_contact(ANA, "Ana")
    await driver.connected()
    assert (await driver.send("3EB0B")).outcome == pb.SendResponse.SENT
