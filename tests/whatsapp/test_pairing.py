"""Linking a device step by step, with a client that may cheat."""

import pytest

from tests.whatsapp.connection import PairingRefused
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.node import Node
from tests.whatsapp.raw_client import Newcomer, RawClient
from tests.whatsapp.server import WhatsAppServer

SHOP, ANA = "+40722222222", "+40711111111"


async def test_a_linked_device_logs_in() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone = Newcomer(server.port), server.add_phone(SHOP)
        device = await newcomer.pair(phone)
        async with newcomer.log_in(device) as client:
            welcome = await client.receive()
            assert (welcome.tag, welcome.jid("lid")) == ("success", device.lid)
            assert device.is_connected


async def test_a_device_whose_signature_is_wrong_is_not_linked() -> None:
    async with WhatsAppServer() as server:
        phone = server.add_phone(SHOP)
        with pytest.raises(PairingRefused, match="signature"):
            await Newcomer(server.port, signs_as=KeyPair()).pair(phone)
        assert phone.devices == []


async def test_a_device_with_another_noise_key_is_logged_out() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone = Newcomer(server.port), server.add_phone(SHOP)
        device = await newcomer.pair(phone)
        newcomer.noise_key = KeyPair()
        async with newcomer.log_in(device) as client:
            failure = await client.receive()
            assert (failure.tag, failure.text("reason")) == ("failure", "401")


async def test_an_unlinked_device_cannot_log_in_again() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone = Newcomer(server.port), server.add_phone(SHOP)
        device = await newcomer.pair(phone)
        await phone.unlink(device)
        async with newcomer.log_in(device) as client:
            assert (await client.receive()).text("reason") == "401"


async def test_a_second_login_of_a_device_replaces_the_first() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone = Newcomer(server.port), server.add_phone(SHOP)
        device = await newcomer.pair(phone)
        async with newcomer.log_in(device) as first:
            await first.receive()
            async with newcomer.log_in(device) as second:
                assert (await second.receive()).tag == "success"
                assert (await first.receive()).need("conflict").text("type") == "replaced"


@pytest.mark.parametrize("code", ["", "no code at all", "2@unknown,AAAA,AAAA,AAAA"])
async def test_a_code_that_nobody_shows_is_refused(code: str) -> None:
    async with WhatsAppServer() as server:
        with pytest.raises(PairingRefused):
            await server.add_phone(SHOP).scan(code)


async def test_a_code_with_other_keys_is_refused() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone = Newcomer(server.port), server.add_phone(SHOP)
        async with RawClient(server.port, newcomer.registration(), newcomer.noise_key) as client:
            ref = (await client.receive()).need("pair-device").children[0].data.decode()
            with pytest.raises(PairingRefused, match="keys"):
                await phone.scan(Newcomer(server.port).qr(ref))


async def test_a_message_without_a_part_for_its_contact_is_a_problem() -> None:
    async with WhatsAppServer() as server:
        newcomer, phone, ana = Newcomer(server.port), server.add_phone(SHOP), server.add_contact(ANA)
        device = await newcomer.pair(phone)
        async with newcomer.log_in(device) as client:
            await client.receive()
            client.send(Node("message", {"to": ana.lid, "id": "3EB0", "type": "text"}, [Node("participants")]))
            assert (await client.receive()).tag == "ack"
        assert [problem.kind for problem in server.problems] == ["nobody_can_read"]
        server.forgive("nobody_can_read")
