"""The loopback port: a CONNECT proxy that goes nowhere, TLS behind it, and WebSockets with or without.

A client that takes this port for its proxy believes to talk to WhatsApp. CONNECT for WhatsApp's host is answered by this process
itself, any other host is refused and noted: such a client cannot reach the network through it.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from tests.whatsapp import media_host
from tests.whatsapp.websocket import CLOSE_FRAME, FrameReader, accept_key, frame

HOSTS: Final = ("web.whatsapp.com", media_host.HOST)
_HEAD_END: Final = b"\r\n\r\n"
_LONGEST_HEAD_BYTES: Final = 16_384


class Receiver(Protocol):
    """Who the messages of one WebSocket are for."""

    def message_received(self, data: bytes) -> None: ...
    def connection_lost(self) -> None: ...


class WebSocket(asyncio.Protocol):
    """One client's TCP connection, from its first byte on."""

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._frames: FrameReader | None = None
        self._receiver: Receiver | None = None
        self._is_silent = False
        self._is_starting_tls = False
        self._came_early = b""
        self._unwritten: list[bytes] = []

    # What the server's connections use

    def send(self, message: bytes) -> None:
        """Without effect once the connection is gone, or has fallen silent. What is sent in one turn of the loop leaves together."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self._write_all)
        self._unwritten.append(frame(message))

    def close(self) -> None:
        self._write_all()
        self._write(CLOSE_FRAME)
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the TCP connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def half_close(self) -> None:
        """Sends the end of the stream and leaves the other direction open."""
        raw = self._transport.get_extra_info("socket") if self._transport is not None else None
        if raw is not None:
            self._is_silent = True
            with (
                contextlib.suppress(OSError),
                socket.socket(fileno=os.dup(raw.fileno())) as same,
            ):  # the client may be gone
                same.shutdown(socket.SHUT_WR)

    def fall_silent(self) -> None:
        """Neither reads nor writes from now on, and keeps the TCP connection: as when a network drops every packet."""
        self._is_silent = True
        if self._transport is not None:
            self._transport.pause_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream's transport was expected")
        self._transport = transport
        self._listener.sockets.add(self)
        if self._listener.refuses():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_silent:
            return
        if self._is_starting_tls:  # the client was faster than the task that waits for the handshake
            self._came_early += data
            return
        if self._frames is None:
            self._head += data
            end = self._head.find(_HEAD_END)
            if end >= 0:
                head, rest = self._head[:end], self._head[end + len(_HEAD_END) :]
                self._head = b""
                self._request_received(head.decode("latin-1"), rest)
            elif len(self._head) > _LONGEST_HEAD_BYTES:
                self.abort()
            return
        self._frames_received(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._listener.sockets.discard(self)
        if self._receiver is not None:
            self._receiver.connection_lost()

    # HTTP

    def _request_received(self, head: str, rest: bytes) -> None:
        line, *fields = head.split("\r\n")
        method, target, *_ = [*line.split(" "), "", ""]
        if method == "CONNECT":
            self._tunnel(target)
            return
        if method == "GET" and target == "/" and "sec-websocket-key" not in head.lower():
            self._show_page()
            return
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        key = headers.get("sec-websocket-key")
        if headers.get("upgrade", "").lower() != "websocket" or key is None:
            self._media_asked_for(method, target)
            return
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + _HEAD_END
        )
        self._frames = FrameReader()
        self._receiver = self._listener.accept(self)
        if rest:
            self._frames_received(rest)

    def _media_asked_for(self, method: str, target: str) -> None:
        body = self._listener.media(target) if method == "GET" else None
        if body is None:
            self._refuse("404 Not Found")
        else:
            self._write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}".encode() + _HEAD_END + body)

    def _tunnel(self, target: str) -> None:
        context = self._listener.tls
        if context is None or target.rpartition(":")[0] not in HOSTS:
            self._listener.refused.append(target)
            self._refuse("403 Forbidden")
            return
        if self._transport is not None:
            self._is_starting_tls = True
            self._transport.pause_reading()  # the next bytes are TLS's
            self._write(b"HTTP/1.1 200 Connection established" + _HEAD_END)
            self._listener.run(self._start_tls(self._transport, context))

    async def _start_tls(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError):  # a client that does not trust the authority, or is gone
            loop = asyncio.get_running_loop()
            self._transport = await loop.start_tls(transport, self, context, server_side=True)
            self._is_starting_tls = False
            early, self._came_early = self._came_early, b""
            if early:
                self.data_received(early)

    def _show_page(self) -> None:
        page = self._listener.page()
        if page is None:
            self._refuse("503 Service Unavailable")
            return
        self._write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\nConnection: close".encode() + _HEAD_END + page)
        if self._transport is not None:
            self._transport.close()

    def _refuse(self, status: str) -> None:
        self._write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close".encode() + _HEAD_END)
        if self._transport is not None:
            self._transport.close()

    # WebSocket

    def _frames_received(self, data: bytes) -> None:
        if self._frames is None or self._receiver is None:
            return
        for message in self._frames.feed(data):
            self._receiver.message_received(message)
        for pong in self._frames.pongs:
            self._write(pong)
        self._frames.pongs.clear()
        if self._frames.is_closed:
            self.close()

    def _write_all(self) -> None:
        if self._unwritten:
            data = b"".join(self._unwritten)
            self._unwritten.clear()
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self._is_silent:
            self._transport.write(data)


class Listener:
    """Listens on 127.0.0.1 and nowhere else.

    `accept` gives each WebSocket its receiver; `refuses` is asked whether a new TCP connection is cut at once; `page` gives what
    https://web.whatsapp.com/ shows, or None while it is down; `media` gives the body that a GET
    asks the media host for.
    """

    def __init__(
        self,
        accept: Callable[[WebSocket], Receiver],
        refuses: Callable[[], bool],
        tls: ssl.SSLContext | None,
        page: Callable[[], bytes | None] = lambda: None,
        media: Callable[[str], bytes | None] = lambda _target: None,
    ) -> None:
        self.page = page
        self.accept = accept
        self.media = media
        self.refuses = refuses
        self.tls = tls
        self.refused: list[str] = []
        """Hosts that a client wanted to reach and could not."""
        self.sockets: set[WebSocket] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: WebSocket(self), "127.0.0.1", port, backlog=1024)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for one in list(self.sockets):
            one.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
