"""The port is an egress guard: it leads to this server, or nowhere."""

import asyncio
import ssl

import pytest

from tests.whatsapp.server import WhatsAppServer


async def _status_of(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode() + b"\r\n\r\n")
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line.decode().strip()


@pytest.mark.parametrize("host", ["example.com", "mmg.whatsapp.com", "web.whatsapp.com.example.com", "127.0.0.1"])
async def test_connect_to_any_other_host_is_refused_and_noted(host: str) -> None:
    async with WhatsAppServer(tls=True) as server:
        assert await _status_of(server.port, f"CONNECT {host}:443 HTTP/1.1") == "HTTP/1.1 403 Forbidden"
        assert server.refused_hosts == [f"{host}:443"]


async def test_connect_to_whatsapp_ends_in_this_server_s_tls() -> None:
    async with WhatsAppServer(tls=True) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(ssl.create_default_context(cafile=server.ca_file), server_hostname="web.whatsapp.com")
        writer.write(b"GET /ws/chat HTTP/1.1\r\n\r\n")
        assert (await reader.readline()).decode().strip() == "HTTP/1.1 404 Not Found"  # no WebSocket was asked for
        writer.close()
        await writer.wait_closed()


async def test_without_tls_there_is_no_tunnel_at_all() -> None:
    async with WhatsAppServer() as server:
        assert await _status_of(server.port, "CONNECT web.whatsapp.com:443 HTTP/1.1") == "HTTP/1.1 403 Forbidden"


async def test_the_environment_names_the_authority_only_with_tls() -> None:
    async with WhatsAppServer() as plain, WhatsAppServer(tls=True) as tls:
        assert sorted(plain.environment()) == ["WIRE_ROOT", "WIRE_SERVER"]
        assert sorted(tls.environment()) == ["WIRE_CA", "WIRE_ROOT", "WIRE_SERVER"]
        assert plain.root_key != tls.root_key


async def test_another_dictionary_version_is_a_problem() -> None:
    async with WhatsAppServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"GET /ws/chat HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            + bytes((0x82, 0x84, 0, 0, 0, 0))
            + b"WA\x06\x02"
        )
        await server.until(lambda: server.problems)
        assert [problem.kind for problem in server.problems] == ["malformed"]
        server.forgive("malformed")
        server.check()
        writer.close()
        await reader.read()
