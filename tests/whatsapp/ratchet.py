"""One Signal session (version 3): the double ratchet and both of its wire messages."""

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.whatsapp.hashing import hkdf, hmac_sha256
from tests.whatsapp.keys import RatchetKey

_VERSION: Final = b"\x33"  # version 3, at least version 3
_MAC_BYTES: Final = 8
_BLOCK_BYTES: Final = 16
_MOST_SKIPPED: Final = 2_000
_MOST_CHAINS: Final = 5
_VARINT, _BYTES = 0, 2

CiphertextKind = Literal["msg", "pkmsg"]
WireFields = dict[int, int | bytes]


class DecryptFailed(Exception):
    """This party cannot read the message."""


class AlreadyDecrypted(DecryptFailed):
    """The message's key was used up: it is a ciphertext that came before."""


class Agreeing(Protocol):
    @property
    def public(self) -> bytes: ...
    def agree(self, peer: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Ciphertext:
    kind: CiphertextKind
    wire: bytes


@dataclass(frozen=True, slots=True)
class MessageKeys:
    cipher: bytes
    mac: bytes
    iv: bytes


@dataclass(slots=True)
class Chain:
    """Gives one message's keys after the other; cannot go back."""

    key: bytes
    index: int = 0

    def next_keys(self) -> MessageKeys:
        seed = hmac_sha256(self.key, b"\x01")
        self.key = hmac_sha256(self.key, b"\x02")
        self.index += 1
        keys = hkdf(seed, b"WhisperMessageKeys", 80)
        return MessageKeys(keys[:32], keys[32:64], keys[64:])


@dataclass(slots=True)
class Session:
    """Changes only when a message was read: what fails to decrypt leaves it as it was."""

    own_identity: bytes
    peer_identity: bytes
    root: bytes
    ratchet: Agreeing
    """Our present ratchet key."""
    sending: Chain
    base_key: bytes
    """The key that founded the session: tells whether a prekey message belongs to it."""
    receiving: dict[bytes, Chain] = field(default_factory=dict)
    header: WireFields | None = None
    """What makes each message a prekey message, until the peer has answered."""
    previous_count: int = 0
    skipped: dict[tuple[bytes, int], MessageKeys] = field(default_factory=dict)

    def encrypt(self, plaintext: bytes) -> Ciphertext:
        index = self.sending.index
        keys = self.sending.next_keys()
        fields: WireFields = {
            1: typed(self.ratchet.public), 2: index, 3: self.previous_count, 4: _encrypt(keys, plaintext),
        }  # fmt: skip
        message = _VERSION + encode_fields(fields)
        message += self._mac(keys, self.own_identity, self.peer_identity, message)
        if self.header is None:
            return Ciphertext("msg", message)
        return Ciphertext("pkmsg", _VERSION + encode_fields({**self.header, 4: message}))

    def decrypt(self, wire: bytes) -> bytes:
        """Raises DecryptFailed."""
        if wire[0] >> 4 != 3:
            raise DecryptFailed("message version")
        fields = decode_fields(wire[1:-_MAC_BYTES])
        peer_ratchet, counter = untyped(fields.get(1)), _number(fields.get(2, 0))
        position = (peer_ratchet, counter)
        known = self.skipped.get(position)
        if known is not None:
            plaintext = self._open(known, wire, fields)
            del self.skipped[position]
            return plaintext
        chain, turned_root = self._chain_of(peer_ratchet)
        if counter < chain.index:
            raise AlreadyDecrypted("this message was read before")
        if counter - chain.index > _MOST_SKIPPED:
            raise DecryptFailed("too far ahead")
        skipped: dict[tuple[bytes, int], MessageKeys] = {}
        while chain.index < counter:
            passed = chain.index
            skipped[peer_ratchet, passed] = chain.next_keys()
        plaintext = self._open(chain.next_keys(), wire, fields)
        if turned_root is not None:
            self._turn(peer_ratchet, turned_root)
        self.receiving[peer_ratchet] = chain
        self.skipped.update(skipped)
        self.header = None
        return plaintext

    def _chain_of(self, peer_ratchet: bytes) -> tuple[Chain, bytes | None]:
        """A copy of the chain to read from; with a ratchet key that is new, the root that it leads to."""
        chain = self.receiving.get(peer_ratchet)
        if chain is not None:
            return Chain(chain.key, chain.index), None
        root, key = root_step(self.root, self.ratchet, peer_ratchet)
        return Chain(key), root

    def _turn(self, peer_ratchet: bytes, root: bytes) -> None:
        while len(self.receiving) >= _MOST_CHAINS:
            del self.receiving[next(iter(self.receiving))]
        self.previous_count = max(self.sending.index - 1, 0)
        self.ratchet = RatchetKey()
        self.root, key = root_step(root, self.ratchet, peer_ratchet)
        self.sending = Chain(key)

    def _open(self, keys: MessageKeys, wire: bytes, fields: WireFields) -> bytes:
        mac = self._mac(keys, self.peer_identity, self.own_identity, wire[:-_MAC_BYTES])
        body = fields.get(4)
        if mac != wire[-_MAC_BYTES:] or not isinstance(body, bytes):
            raise DecryptFailed("the message's code is wrong")
        return _decrypt(keys, body)

    @staticmethod
    def _mac(keys: MessageKeys, sender: bytes, receiver: bytes, message: bytes) -> bytes:
        return hmac_sha256(keys.mac, typed(sender) + typed(receiver) + message)[:_MAC_BYTES]


def root_step(root: bytes, ours: Agreeing, theirs: bytes) -> tuple[bytes, bytes]:
    """The next root key, and the key of the chain that begins with it."""
    keys = hkdf(ours.agree(theirs), b"WhisperRatchet", 64, root)
    return keys[:32], keys[32:]


def typed(public: bytes) -> bytes:
    """A public key as Signal serializes it."""
    return b"\x05" + public


def untyped(value: int | bytes | None) -> bytes:
    if not isinstance(value, bytes) or len(value) != 33:
        raise DecryptFailed("a key is missing")
    return value[1:]


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise DecryptFailed("a number is missing")
    return value


def _encrypt(keys: MessageKeys, plaintext: bytes) -> bytes:
    missing = _BLOCK_BYTES - len(plaintext) % _BLOCK_BYTES
    encryptor = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).encryptor()
    return encryptor.update(plaintext + bytes((missing,)) * missing) + encryptor.finalize()


def _decrypt(keys: MessageKeys, body: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(keys.cipher), modes.CBC(keys.iv)).decryptor()
    padded = decryptor.update(body) + decryptor.finalize()
    return padded[: -padded[-1]]


def encode_fields(fields: WireFields) -> bytes:
    """The few protobuf fields of Signal's messages."""
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += _varint(number << 3 | _VARINT) + _varint(value)
        else:
            out += _varint(number << 3 | _BYTES) + _varint(len(value)) + value
    return bytes(out)


def decode_fields(data: bytes) -> WireFields:
    fields: WireFields = {}
    position = 0
    try:
        while position < len(data):
            key, position = _read_varint(data, position)
            value, position = _read_varint(data, position)
            if key & 7 == _VARINT:
                fields[key >> 3] = value
            elif key & 7 == _BYTES and position + value <= len(data):
                fields[key >> 3] = data[position : position + value]
                position += value
            else:
                raise DecryptFailed("not a message")
    except IndexError as error:
        raise DecryptFailed("the message is cut short") from error
    return fields


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
