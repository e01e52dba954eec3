"""Frames in whatever pieces TCP delivers them."""

import pytest

from tests.whatsapp.websocket import FrameReader, accept_key, frame

_MASK = b"\x01\x02\x03\x04"


def _from_client(payload: bytes, opcode: int = 2, *, final: bool = True) -> bytes:
    unmasked = frame(payload, opcode)
    head = bytearray(unmasked[: len(unmasked) - len(payload)])
    head[0] = (0x80 if final else 0) | opcode
    head[1] |= 0x80
    return bytes(head) + _MASK + bytes(byte ^ _MASK[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536], ids=str)
def test_a_message_of_any_length_comes_whole(size: int) -> None:
    payload = bytes(index & 0xFF for index in range(size))
    assert FrameReader().feed(_from_client(payload)) == [payload]


def test_messages_that_come_byte_by_byte_come_whole() -> None:
    reader = FrameReader()
    messages = [
        message for byte in _from_client(b"one") + _from_client(b"two") for message in reader.feed(bytes((byte,)))
    ]
    assert messages == [b"one", b"two"]


def test_fragments_are_put_together() -> None:
    fragments = _from_client(b"on", final=False) + _from_client(b"e", opcode=0)
    assert FrameReader().feed(fragments) == [b"one"]


def test_a_ping_is_answered_between_messages() -> None:
    reader = FrameReader()
    assert reader.feed(_from_client(b"one") + _from_client(b"ping", opcode=9)) == [b"one"]
    assert reader.pongs == [frame(b"ping", 10)]


def test_nothing_is_heard_after_a_close() -> None:
    reader = FrameReader()
    assert reader.feed(_from_client(b"", opcode=8) + _from_client(b"late")) == []
    assert reader.is_closed


def test_the_handshake_s_key_is_the_standard_s() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
