"""The handshake against a client of its own: both derive the same ciphers, and what was tampered with is refused."""

import pytest
from cryptography.exceptions import InvalidTag

from tests.whatsapp.certificates import noise_chain
from tests.whatsapp.keys import KeyPair, is_signed
from tests.whatsapp.noise import STREAM_HEADER, Responder
from tests.whatsapp.protobufs import cert, wa6
from tests.whatsapp.raw_client import Initiator


@pytest.fixture(name="root")
def _root() -> KeyPair:
    return KeyPair()


@pytest.fixture(name="static")
def _static() -> KeyPair:
    return KeyPair()


@pytest.fixture(name="responder")
def _responder(root: KeyPair, static: KeyPair) -> Responder:
    return Responder(STREAM_HEADER, static, noise_chain(root, static))


def test_both_sides_end_with_the_same_ciphers(responder: Responder, static: KeyPair) -> None:
    client = Initiator()
    payload = wa6.ClientPayload(username=40722222222, device=3)
    last = client.finish(responder.answer(client.hello()), payload.SerializeToString())
    introduction = responder.finish(last)
    assert client.server_static == static.public
    assert introduction.noise_key == client.static.public
    assert introduction.payload == payload
    theirs = client.ciphers()
    for text in (b"first", b"second"):
        assert introduction.ciphers.open(theirs.seal(text)) == text
        assert theirs.open(introduction.ciphers.seal(text)) == text


def test_the_certificates_lead_from_the_server_s_key_to_the_root(
    responder: Responder, root: KeyPair, static: KeyPair
) -> None:
    client = Initiator()
    client.finish(responder.answer(client.hello()))
    chain = cert.CertChain.FromString(client.certificates)
    intermediate = cert.CertChain.NoiseCertificate.Details.FromString(chain.intermediate.details)
    leaf = cert.CertChain.NoiseCertificate.Details.FromString(chain.leaf.details)
    assert is_signed(root.public, chain.intermediate.details, chain.intermediate.signature)
    assert is_signed(intermediate.key, chain.leaf.details, chain.leaf.signature)
    assert not is_signed(KeyPair().public, chain.intermediate.details, chain.intermediate.signature)
    assert leaf.key == static.public


def test_another_stream_header_ends_the_handshake(responder: Responder) -> None:
    client = Initiator(prologue=b"WA\x06\x02")
    with pytest.raises(InvalidTag):
        client.finish(responder.answer(client.hello()))


def test_a_last_message_that_was_changed_is_refused(responder: Responder) -> None:
    client = Initiator()
    last = client.finish(responder.answer(client.hello()))
    with pytest.raises(InvalidTag):
        responder.finish(last[:-1] + bytes((last[-1] ^ 1,)))


def test_a_frame_cannot_be_played_again(responder: Responder) -> None:
    client = Initiator()
    last = client.finish(responder.answer(client.hello()))
    ciphers = responder.finish(last).ciphers
    frame = client.ciphers().seal(b"once")
    assert ciphers.open(frame) == b"once"
    with pytest.raises(InvalidTag):
        ciphers.open(frame)
