"""An account is linked to a phone by QR or by code."""

import re

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from local.control_client import ControlRefused
from local.network.client import Network
from tests.local.network.driver import ANA, SHOP, Driver

OTHER_PHONE = "+40700000002"


async def test_a_scanned_code_pairs_and_connects(driver: Driver, network: Network) -> None:
    assert not (await driver.open()).paired
    events = driver.events()
    await driver.pair()
    code = (await events.next()).pairing_code

    assert network.scan(SHOP, code.qr) == "shop"

    assert (await events.next()).pairing_ended == pb.PairingEnded(result=pb.PairingEnded.PAIRED, phone_e164=SHOP)
    assert (await events.next_state()).state == pb.SessionChanged.CONNECTING
    device = pb.LinkedDevice(number=1, platform="android")
    connected = pb.SessionChanged(state=pb.SessionChanged.CONNECTED, phone_e164=SHOP, device=device)
    assert await events.next_state() == connected
    await driver.close()
    assert await driver.open(epoch=2) == pb.OpenResponse(paired=True, phone_e164=SHOP)


async def test_six_codes_are_shown_and_then_the_pairing_expires(driver: Driver, network: Network) -> None:
    network.change_settings(code_lifetime_s=0.05)
    await driver.open()
    events = driver.events()
    await driver.pair()

    codes = [(await events.next()).pairing_code for _ in range(6)]

    assert len({code.qr for code in codes}) == 6
    assert (await events.next()).pairing_ended.result == pb.PairingEnded.EXPIRED
    for code in codes:
        with pytest.raises(ControlRefused, match="409"):
            network.scan(SHOP, code.qr)


async def test_a_code_in_place_of_another_makes_the_first_worthless(driver: Driver, network: Network) -> None:
    network.change_settings(code_lifetime_s=0.2)
    await driver.open()
    events = driver.events()
    await driver.pair()
    first, second = (await events.next()).pairing_code, (await events.next()).pairing_code

    with pytest.raises(ControlRefused, match="409"):
        network.scan(SHOP, first.qr)
    assert second.expires_at_unix_ms - first.expires_at_unix_ms >= 200


async def test_a_phone_code_is_good_for_its_own_number_alone(driver: Driver, network: Network) -> None:
    await driver.open()
    events = driver.events()
    await driver.pair(phone=SHOP)
    code = (await events.next()).pairing_code.phone_code
    assert re.fullmatch(r"[1-9A-Z]{4}-[1-9A-Z]{4}", code)

    with pytest.raises(ControlRefused, match="409"):
        network.enter_code(OTHER_PHONE, code)
    network.enter_code(SHOP, code)

    assert (await events.next()).pairing_ended.phone_e164 == SHOP


async def test_pairing_may_fail(driver: Driver, network: Network) -> None:
    await driver.open()
    events = driver.events()
    await driver.pair()
    await events.next()

    network.fail_pairing("shop")

    failed = pb.PairingEnded(result=pb.PairingEnded.FAILED, reason="disconnected")
    assert (await events.next()).pairing_ended == failed


async def test_a_paired_account_is_not_paired_again(driver: Driver) -> None:
    await driver.connected()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await driver.pair()
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_after_a_logout_the_account_is_unpaired_and_can_be_paired_again(driver: Driver, network: Network) -> None:
    events = await driver.connected()
    for _ in range(2):  # idempotent
        await driver.engine.Logout(pb.LogoutRequest(session=driver.session()))
    with pytest.raises(ControlRefused, match="404"):
        network.write(ANA, SHOP, "are you there?")

    await driver.pair()
    network.scan(OTHER_PHONE, (await events.next()).pairing_code.qr)

    assert (await events.next()).pairing_ended.phone_e164 == OTHER_PHONE


async def test_a_contact_cannot_scan(driver: Driver, network: Network) -> None:
    await driver.open()
    events = driver.events()
    await driver.pair()
    code = (await events.next()).pairing_code
    with pytest.raises(ControlRefused, match="409"):
        network.scan(ANA, code.qr)
