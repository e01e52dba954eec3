"""WhatsApp's binary form of a node, with the token dictionaries of one version of the protocol."""

import zlib
from dataclasses import dataclass
from typing import Final

from tests.whatsapp.jid import LID_SERVER, NUMBER_SERVER, Jid
from tests.whatsapp.node import Malformed, Node

_LIST_EMPTY: Final = 0
_DICTIONARY_0: Final = 236
_DICTIONARY_3: Final = 239
_INTEROP_JID: Final = 245
_MESSENGER_JID: Final = 246
_AD_JID: Final = 247
_LIST_8: Final = 248
_LIST_16: Final = 249
_JID_PAIR: Final = 250
_HEX_8: Final = 251
_BINARY_8: Final = 252
_BINARY_20: Final = 253
_BINARY_32: Final = 254
_NIBBLE_8: Final = 255

_LENGTH_BYTES: Final = {_BINARY_8: 1, _BINARY_20: 3, _BINARY_32: 4}
_DOMAINS: Final = {0: NUMBER_SERVER, 1: LID_SERVER, 128: "hosted", 129: "hosted.lid"}
_DOMAIN_NUMBERS: Final = {server: number for number, server in _DOMAINS.items()}
_NIBBLES: Final = "0123456789-.\0\0\0\0"
_HEX_DIGITS: Final = "0123456789ABCDEF"
_COMPRESSED: Final = 2
_ODD_BYTES: Final = "surrogateescape"
"""A word may hold bytes that are not UTF-8: ids are whatever their sender's program wrote."""
_MOST_REMEMBERED: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The words that go over the wire as one byte, or as two."""

    single: list[str]
    double: list[list[str]]


class Codec:
    """Encodes and decodes nodes. Strings leave as tokens or as they are; the packed forms are only read."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._known: dict[str, bytes] = {}
        for number, table in enumerate(tokens.double):
            for index, token in enumerate(table):
                self._known[token] = bytes((_DICTIONARY_0 + number, index))
        for index, token in enumerate(tokens.single):
            if token:
                self._known[token] = bytes((index,))
        self._jids: dict[Jid, bytes] = {}

    def encode(self, node: Node) -> bytes:
        out = bytearray(b"\0")
        self._put_node(out, node)
        return bytes(out)

    def decode(self, frame: bytes) -> Node:
        """Raises Malformed."""
        body = zlib.decompress(frame[1:]) if frame[0] & _COMPRESSED else frame[1:]
        reader = _Reader(self._tokens, body)
        try:
            node = reader.node()
        except (IndexError, UnicodeDecodeError) as error:
            raise Malformed("the node is cut short, or its text is no text") from error
        if reader.position != len(body):
            raise Malformed(f"{len(body) - reader.position} bytes follow the node")
        return node

    def _put_node(self, out: bytearray, node: Node) -> None:
        attributes = [(name, value) for name, value in node.attributes.items() if value is not None]
        _put_list(out, 1 + 2 * len(attributes) + (node.content is not None))
        out += self._text(node.tag)
        for name, value in attributes:
            out += self._text(name)
            out += self._jid(value) if isinstance(value, Jid) else self._text(str(value))
        if isinstance(node.content, list):
            _put_list(out, len(node.content))
            for child in node.content:
                self._put_node(out, child)
        elif node.content is not None:
            _put_bytes(out, node.content)

    def _text(self, text: str) -> bytes:
        return self._known.get(text) or _sized(text.encode(errors=_ODD_BYTES))

    def _jid(self, jid: Jid) -> bytes:
        known = self._jids.get(jid)
        if known is None:
            if jid.device:
                known = bytes((_AD_JID, _DOMAIN_NUMBERS[jid.server], jid.device)) + self._text(jid.user)
            else:
                user = self._text(jid.user) if jid.user else bytes((_LIST_EMPTY,))
                known = bytes((_JID_PAIR,)) + user + self._text(jid.server)
            if len(self._jids) < _MOST_REMEMBERED:
                self._jids[jid] = known
        return known


def _put_list(out: bytearray, size: int) -> None:
    if size == 0:
        out.append(_LIST_EMPTY)
    elif size < 256:
        out += bytes((_LIST_8, size))
    else:
        out.append(_LIST_16)
        out += size.to_bytes(2, "big")


def _put_bytes(out: bytearray, data: bytes) -> None:
    size = len(data)
    if size < 256:
        out += bytes((_BINARY_8, size))
    elif size < 1 << 20:
        out.append(_BINARY_20)
        out += size.to_bytes(3, "big")
    else:
        out.append(_BINARY_32)
        out += size.to_bytes(4, "big")
    out += data


def _sized(data: bytes) -> bytes:
    out = bytearray()
    _put_bytes(out, data)
    return bytes(out)


_Value = str | bytes | Jid | list[Node] | None


class _Reader:
    def __init__(self, tokens: Tokens, data: bytes) -> None:
        self._tokens = tokens
        self._data = data
        self.position = 0

    def node(self) -> Node:
        size = self._list_size(self._byte())
        tag = self._text()
        attributes: dict[str, str | int | Jid | None] = {}
        for _ in range((size - 1) // 2):
            name = self._text()
            value = self._value(as_text=True)
            if isinstance(value, (bytes, list)):
                raise Malformed(f"the attribute {name} is no text")
            attributes[name] = value
        content: bytes | list[Node] | None = None
        if size % 2 == 0:
            value = self._value(as_text=False)
            content = str(value).encode() if isinstance(value, (str, Jid)) else value
        return Node(tag, attributes, content)

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise Malformed("the node is cut short")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _integer(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _list_size(self, tag: int) -> int:
        if tag == _LIST_8:
            return self._byte()
        if tag == _LIST_16:
            return self._integer(2)
        if tag == _LIST_EMPTY:
            return 0
        raise Malformed(f"{tag} opens no list")

    def _text(self) -> str:
        value = self._value(as_text=True)
        if not isinstance(value, str):
            raise Malformed("a word was expected")
        return value

    def _packed(self, alphabet: str) -> str:
        head = self._byte()
        text = "".join(alphabet[byte >> 4] + alphabet[byte & 15] for byte in self._take(head & 0x7F))
        return text[:-1] if head & 0x80 else text

    def _value(self, *, as_text: bool) -> _Value:
        tag = self._byte()
        if _LIST_EMPTY < tag < _DICTIONARY_0:
            return self._tokens.single[tag]
        if tag in _LENGTH_BYTES:
            data = self._take(self._integer(_LENGTH_BYTES[tag]))
            return data.decode(errors=_ODD_BYTES) if as_text else data
        if tag == _LIST_EMPTY:
            return None
        if tag in (_LIST_8, _LIST_16):
            return [self.node() for _ in range(self._list_size(tag))]
        if tag == _JID_PAIR:
            user = self._value(as_text=True)
            return Jid("" if user is None else str(user), self._text())
        if tag in (_MESSENGER_JID, _INTEROP_JID):
            user, device = self._text(), self._integer(2)
            if tag == _INTEROP_JID:
                self._integer(2)  # the integrator
            return Jid(user, self._text(), device)
        if tag == _AD_JID:
            domain, device = self._byte(), self._byte()
            return Jid(self._text(), _DOMAINS.get(domain, NUMBER_SERVER), device)
        if _DICTIONARY_0 <= tag <= _DICTIONARY_3:
            return self._tokens.double[tag - _DICTIONARY_0][self._byte()]
        if tag == _NIBBLE_8:
            return self._packed(_NIBBLES)
        if tag == _HEX_8:
            return self._packed(_HEX_DIGITS)
        raise Malformed(f"{tag} is no value")
