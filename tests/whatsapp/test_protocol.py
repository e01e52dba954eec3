"""What the server says to clients that are not paired, not known, or not correct."""

import pytest

from tests.whatsapp.jid import SERVER, Jid
from tests.whatsapp.node import Node
from tests.whatsapp.protobufs import wa6
from tests.whatsapp.raw_client import Newcomer, RawClient
from tests.whatsapp.server import ServerFoundProblems, WhatsAppServer

PING = Node("iq", {"id": "1", "type": "get", "xmlns": "w:p", "to": SERVER})
NEW_QR_REFS = 6


def _unpaired(server: WhatsAppServer) -> RawClient:
    payload = wa6.ClientPayload()
    payload.devicePairingData.eRegid = b"\0\0\0\1"
    return RawClient(server.port, payload)


async def test_an_unpaired_client_is_offered_six_codes_or_fewer_when_asked() -> None:
    async with WhatsAppServer() as server:
        async with _unpaired(server) as client:
            offered = (await client.receive()).need("pair-device").children
            assert len({ref.data for ref in offered}) == NEW_QR_REFS
        server.faults.qr_refs(1)
        async with _unpaired(server) as client:
            assert len((await client.receive()).need("pair-device").children) == 1


async def test_a_client_that_nobody_linked_is_logged_out() -> None:
    async with WhatsAppServer() as server:
        server.add_phone("+40722222222")
        payload = wa6.ClientPayload(username=40722222222, device=1)
        async with RawClient(server.port, payload) as client:
            failure = await client.receive()
            assert (failure.tag, failure.text("reason")) == ("failure", "401")


async def test_what_an_older_connection_says_after_a_newer_login_is_on_record() -> None:
    async with WhatsAppServer() as server:
        phone, newcomer = server.add_phone("+40722222222"), Newcomer(server.port)
        device = await newcomer.pair(phone)
        async with newcomer.log_in(device) as older:
            await older.become_active()
            assert server.overtaken == []  # what it said in becoming active
            async with newcomer.log_in(device) as newer:
                await newer.become_active()
                older.send(PING)
                (overtaken,) = await server.until(lambda: server.overtaken)
        assert (overtaken.account, overtaken.tag) == ("+40722222222", "iq")
        assert (overtaken.login, overtaken.latest_login) == (1, 2)
        first, second = server.logins[-2:]
        assert first.began_at < second.began_at <= first.taken_at[-1], "the older one was heard after the newer login"
        server.forgive("unanswered")


async def test_a_request_that_the_server_does_not_know_fails_the_test() -> None:
    async with WhatsAppServer() as server:
        async with _unpaired(server) as client:
            await client.receive()
            client.send(Node("iq", {"id": "7", "type": "get", "xmlns": "w:mars", "to": SERVER}))
            answer = await client.receive()
        assert (answer.text("id"), answer.text("type"), answer.need("error").text("code")) == ("7", "error", "501")
        with pytest.raises(ServerFoundProblems, match=r"unknown_request.*w:mars"):
            server.check()
        server.forgive("unknown_request")


async def test_a_stanza_that_the_server_does_not_know_fails_the_test() -> None:
    async with WhatsAppServer() as server:
        async with _unpaired(server) as client:
            client.send(Node("telegram", {"to": Jid("40711111111")}))
            await server.until(lambda: server.problems)
        with pytest.raises(ServerFoundProblems, match=r"unknown_stanza.*telegram"):
            server.check()
        server.forgive("unknown_stanza")


async def test_leaving_the_server_checks_it() -> None:
    async def leave() -> None:
        async with WhatsAppServer() as server, _unpaired(server) as client:
            client.send(Node("telegram"))
            await server.until(lambda: server.problems)

    with pytest.raises(ServerFoundProblems):
        await leave()


async def test_a_request_whose_kind_is_mute_stays_unanswered() -> None:
    async with WhatsAppServer() as server, _unpaired(server) as client:
        await client.receive()
        server.faults.mute("ping", times=1)
        client.send(PING)
        client.send(Node(PING.tag, {**PING.attributes, "id": "2"}))
        assert (await client.receive()).text("id") == "2"


async def test_connections_are_refused_as_often_as_was_asked_for() -> None:
    async with WhatsAppServer() as server:
        server.faults.refuse_connections(times=1)
        with pytest.raises((ConnectionError, EOFError)):
            async with _unpaired(server):
                pass
        async with _unpaired(server) as client:
            assert (await client.receive()).tag == "iq"


async def test_pairing_is_ended_for_those_who_show_codes() -> None:
    async with WhatsAppServer() as server, _unpaired(server) as client:
        await client.receive()
        server.faults.end_pairing()
        await server.until(lambda: not server.connection_count)


async def test_a_frame_that_does_not_decrypt_is_a_problem_and_ends_the_connection() -> None:
    async with WhatsAppServer() as server:
        async with _unpaired(server) as client:
            await client.receive()
            client.send_raw(b"no ciphertext of this connection")
            await server.until(lambda: server.problems)
            with pytest.raises((ConnectionError, EOFError)):
                await client.receive()
        server.forgive("malformed")
