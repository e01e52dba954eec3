"""What is encoded decodes to the same node, in every form that the wire has."""

import zlib

import pytest

from tests.whatsapp.binary import Codec, Tokens
from tests.whatsapp.jid import LID_SERVER, SERVER, Jid
from tests.whatsapp.node import Malformed, Node
from tests.whatsapp.protobufs import CODEC, load_tokens

_SINGLE_TOKENS = 236
_DOUBLE_TOKENS = 4 * 256


def _there_and_back(node: Node) -> Node:
    return CODEC.decode(CODEC.encode(node))


@pytest.mark.parametrize(
    "jid",
    [SERVER, Jid("40711111111"), Jid("911", LID_SERVER), Jid("40711111111", device=7), Jid("911", LID_SERVER, 255)],
    ids=str,
)
def test_addresses_come_back(jid: Jid) -> None:
    assert _there_and_back(Node("message", {"to": jid})) == Node("message", {"to": jid})


def test_a_linked_device_s_address_takes_the_form_that_clients_insist_on() -> None:
    assert bytes((247, 1, 7)) in CODEC.encode(Node("to", {"jid": Jid("911", LID_SERVER, 7)}))


def test_every_token_comes_back() -> None:
    tokens = load_tokens()
    words = [word for table in ([*tokens.single[1:]], *tokens.double) for word in table if word]
    assert len(tokens.single) == _SINGLE_TOKENS
    assert sum(map(len, tokens.double)) == _DOUBLE_TOKENS
    for word in words:
        assert _there_and_back(Node("iq", {"type": word})).text("type") == word


def test_a_token_takes_one_byte_or_two() -> None:
    tokens = load_tokens()
    empty = len(CODEC.encode(Node(tokens.single[3])))
    assert len(CODEC.encode(Node(tokens.double[2][7]))) == empty + 1


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_536, 1 << 20], ids=str)
def test_contents_of_every_length_come_back(size: int) -> None:
    assert _there_and_back(Node("enc", {}, bytes(size))).data == bytes(size)


@pytest.mark.parametrize("count", [1, 255, 256, 1_000], ids=str)
def test_lists_of_every_length_come_back(count: int) -> None:
    children = [Node("ref", {"id": f"number {index}"}) for index in range(count)]
    assert _there_and_back(Node("iq", {}, [*children])).children == children


def test_an_attribute_that_is_none_is_not_there() -> None:
    assert _there_and_back(Node("ack", {"id": "1", "error": None})).attributes == {"id": "1"}


def test_texts_beyond_ascii_come_back() -> None:
    assert _there_and_back(Node("message", {"notify": "Ștefan 😀"})).text("notify") == "Ștefan 😀"


def test_compressed_frames_are_read() -> None:
    plain = CODEC.encode(Node("iq", {"id": "something"}))
    assert CODEC.decode(b"\x02" + zlib.compress(plain[1:])) == Node("iq", {"id": "something"})


def test_packed_digits_are_read() -> None:
    codec = Codec(Tokens(single=["", "id"], double=[]))
    nibbles = bytes((0, 248, 3, 1, 1, 255, 0x82, 0x12, 0x3F))
    assert codec.decode(nibbles).text("id") == "123"
    digits = bytes((0, 248, 3, 1, 1, 251, 0x02, 0x3E, 0xB0))
    assert codec.decode(digits).text("id") == "3EB0"


def test_a_frame_that_is_cut_short_is_malformed() -> None:
    whole = CODEC.encode(Node("message", {"to": Jid("911", LID_SERVER, 3), "id": "3EB0"}, [Node("enc", {}, b"12345")]))
    for size in range(1, len(whole)):
        with pytest.raises(Malformed):
            CODEC.decode(whole[:size])


def test_bytes_after_the_node_are_malformed() -> None:
    with pytest.raises(Malformed):
        CODEC.decode(CODEC.encode(Node("iq")) + b"\0")


def test_a_node_that_lacks_what_it_must_have_says_so() -> None:
    node = Node("iq", {"to": "text"}, [Node("usync")])
    with pytest.raises(Malformed, match="lacks <usync><list>"):
        node.need("usync", "list")
    with pytest.raises(Malformed, match="lacks id"):
        node.need_text("id")
    with pytest.raises(Malformed, match="no address"):
        node.jid("to")


@pytest.mark.parametrize(
    ("wire", "jid"),
    [
        (b"\xf6\xfc\x0277\x00\x05\xfc\x04msgr", Jid("77", "msgr", 5)),
        (b"\xf5\xfc\x0277\x00\x05\x00\x01\xfc\x07interop", Jid("77", "interop", 5)),
    ],
)
def test_addresses_of_other_services_are_read(wire: bytes, jid: Jid) -> None:
    node = CODEC.decode(b"\0\xf8\x03\xfc\x02xx\xfc\x02to" + wire)
    assert node.attributes["to"] == jid


def test_a_word_with_bytes_that_are_not_utf8_comes_back() -> None:
    node = Node("message", {"id": "3A\udcff\udc80\0"})
    assert CODEC.decode(CODEC.encode(node)) == node
