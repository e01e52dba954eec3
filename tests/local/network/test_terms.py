"""The end of the owner's term, at which the engine fences itself: nothing is taken, handed over or sent until the account is opened again."""

import asyncio
import signal
from collections.abc import Awaitable

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from connector.engine import CONTRACT
from local.control_client import ControlRefused
from local.network.account import End
from local.network.client import Network
from local.network.faults import FaultKind
from tests.local.network.conftest import Address
from tests.local.network.driver import ANA, SHOP, Driver, Events

SHORT_S = 1.5
"""Long enough for a few calls on a busy machine."""


async def connected_for(driver: Driver, term_s: float) -> Events:
    """A session whose second owner has so long. Its stream stands behind CONNECTED."""
    await driver.connected()
    await driver.open(epoch=2, term_s=term_s)
    events = driver.events(epoch=2)
    assert await two_states(events) == [pb.SessionChanged.CONNECTING, pb.SessionChanged.CONNECTED]
    return events


async def two_states(events: Events) -> list[pb.SessionChanged.State.ValueType]:
    return [(await events.next_state()).state for _ in range(2)]


async def status_of(call: Awaitable[object]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_the_engine_says_which_contract_it_speaks(driver: Driver) -> None:
    assert (await driver.engine.Hello(pb.HelloRequest(contract=CONTRACT))).contract == CONTRACT == 3


async def test_at_the_end_of_the_term_the_session_closes_itself(driver: Driver, network: Network) -> None:
    events = await connected_for(driver, SHORT_S)
    network.write(ANA, SHOP, "not acknowledged")
    assert await events.texts(1) == ["not acknowledged"]

    assert await events.has_ended()

    assert not network.accounts()["shop"].is_open
    for call in (driver.acknowledge(1, epoch=2), driver.send("3EB0A", epoch=2), driver.extend(60, epoch=2)):
        assert await status_of(call) is grpc.StatusCode.NOT_FOUND
    network.write(ANA, SHOP, "while nobody owns it")
    await driver.open(epoch=2)
    again = driver.events(epoch=2)
    assert await two_states(again) == [pb.SessionChanged.CONNECTING, pb.SessionChanged.CONNECTED]
    assert await again.texts(2) == ["not acknowledged", "while nobody owns it"]
    await driver.open(epoch=3)
    await driver.close(epoch=3)
    openings = network.openings("shop")
    assert [(opening.epoch, opening.ended_by) for opening in openings] == [
        (1, End.TAKEN_OVER),
        (2, End.TERM_OVER),
        (2, End.TAKEN_OVER),
        (3, End.CLOSED),
    ]
    times = [time for opening in openings for time in (opening.opened_at, opening.ended_at)]
    assert times == sorted(time for time in times if time is not None)


async def test_an_extended_term_goes_on(driver: Driver, network: Network) -> None:
    events = await connected_for(driver, SHORT_S)
    await driver.extend(60, epoch=2)
    await driver.extend(SHORT_S / 2, epoch=2)  # comes late, and takes nothing back
    await asyncio.sleep(SHORT_S)
    network.write(ANA, SHOP, "still there")
    assert await events.texts(1) == ["still there"]
    await driver.acknowledge(1, epoch=2)


async def test_opening_again_extends_the_term(driver: Driver, network: Network) -> None:
    events = await connected_for(driver, SHORT_S)
    await driver.open(epoch=2)
    await driver.open(epoch=2, term_s=SHORT_S / 2)
    await asyncio.sleep(SHORT_S)
    network.write(ANA, SHOP, "still there")
    assert await events.texts(1) == ["still there"]


async def test_a_send_that_waits_when_the_term_ends_leaves_no_frame(driver: Driver, network: Network) -> None:
    await connected_for(driver, SHORT_S)
    network.fault(FaultKind.DELAY_BEFORE, seconds=SHORT_S)
    assert (await driver.send("3EB0A", epoch=2)).outcome == pb.SendResponse.NOT_CONNECTED
    assert network.frames() == []


async def test_an_engine_that_was_frozen_takes_nothing_for_a_term_that_ended_meanwhile(
    driver: Driver, network: Network, network_address: Address
) -> None:
    """It reads what waited in its socket before a timer has closed the session."""
    events = await connected_for(driver, SHORT_S)
    network.write(ANA, SHOP, "hello")
    await events.texts(1)
    network_address.process.process.send_signal(signal.SIGSTOP)
    try:
        calls = [driver.acknowledge(1, epoch=2), driver.send("3EB0A", epoch=2), driver.extend(60, epoch=2)]
        waiting = [asyncio.create_task(status_of(call)) for call in calls]
        await asyncio.sleep(SHORT_S)
    finally:
        network_address.process.process.send_signal(signal.SIGCONT)
    assert await asyncio.gather(*waiting) == [grpc.StatusCode.NOT_FOUND] * 3
    assert (network.frames(), network.accounts()["shop"].unacknowledged) == ([], 1)


@pytest.mark.parametrize(
    ("term_ends_ms", "status"), [(1, grpc.StatusCode.FAILED_PRECONDITION), (0, grpc.StatusCode.INVALID_ARGUMENT)]
)
async def test_a_term_that_is_over_or_not_named_opens_nothing(
    driver: Driver, network: Network, term_ends_ms: int, status: grpc.StatusCode
) -> None:
    """A frozen owner's call may be read long after it was made."""
    await driver.connected()
    request = pb.OpenRequest(session=driver.session(2), term_ends_ms=term_ends_ms)
    assert await status_of(driver.engine.Open(request)) is status
    standing = network.accounts()["shop"]
    assert (standing.epoch, standing.is_open) == (1, True)


async def test_an_account_may_be_linked_from_the_start(driver: Driver, network: Network) -> None:
    network.link("shop", SHOP)
    assert await driver.open() == pb.OpenResponse(paired=True, phone_e164=SHOP)
    assert await two_states(driver.events()) == [pb.SessionChanged.CONNECTING, pb.SessionChanged.CONNECTED]
    for account_id, phone in (("shop", SHOP), ("other", ANA)):
        with pytest.raises(ControlRefused) as refused:
            network.link(account_id, phone)
        assert refused.value.status == 409
