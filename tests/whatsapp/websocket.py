"""RFC 6455 without I/O: the server's half, binary messages, no extensions."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_FINAL: Final = 0x80
_NORMAL_CLOSURE: Final = (1000).to_bytes(2, "big")

CLOSE_FRAME: Final = bytes((_FINAL | _CLOSE, 2)) + _NORMAL_CLOSURE


def accept_key(key: str) -> str:
    """What the server answers to the client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def frame(payload: bytes, opcode: int = _BINARY) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((_FINAL | opcode, size))
    elif size < 1 << 16:
        head = bytes((_FINAL | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


@dataclass
class FrameReader:
    """Takes bytes as they come in and gives the messages that are complete."""

    _buffer: bytearray = field(default_factory=bytearray)
    _fragments: bytes = b""
    is_closed: bool = False
    """The client has said that it closes."""
    pongs: list[bytes] = field(default_factory=list)
    """Answers to pings, for the caller to send and clear."""

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        messages: list[bytes] = []
        while not self.is_closed:
            taken = self._take_frame()
            if taken is None:
                break
            head, payload = taken
            opcode = head & 0x0F
            if opcode == _CLOSE:
                self.is_closed = True
            elif opcode == _PING:
                self.pongs.append(frame(payload, _PONG))
            elif opcode != _PONG:
                self._fragments += payload
                if head & _FINAL:
                    messages.append(self._fragments)
                    self._fragments = b""
        return messages

    def _take_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        end = start + 4 + size
        if len(buffer) < end:
            return None
        payload = _unmask(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
        head = buffer[0]
        del buffer[:end]
        return head, payload


def _unmask(payload: bytes, mask: bytes) -> bytes:
    """A client's frames are masked, always. Integers do the whole payload at once."""
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")
