"""Two parties in Signal sessions: what is written is read once, in whatever order it comes, and nothing else is."""

import pytest

from tests.whatsapp.jid import LID_SERVER, Jid
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.party import Bundle, Party, pad, unpad
from tests.whatsapp.ratchet import AlreadyDecrypted, Ciphertext, DecryptFailed

ANA, SHOP = Jid("1", LID_SERVER), Jid("2", LID_SERVER)


class Pair:
    """Ana has a session with the shop; the shop knows of it when it reads her first message."""

    def __init__(self) -> None:
        self.ana, self.shop = Party(), Party()
        self.ana.start_session(SHOP, self.shop.bundle())

    def from_ana(self, text: str) -> Ciphertext:
        return self.ana.encrypt(SHOP, text.encode())

    def from_shop(self, text: str) -> Ciphertext:
        return self.shop.encrypt(ANA, text.encode())

    def at_shop(self, sealed: Ciphertext) -> str:
        return self.shop.decrypt(ANA, sealed.kind, sealed.wire).decode()

    def at_ana(self, sealed: Ciphertext) -> str:
        return self.ana.decrypt(SHOP, sealed.kind, sealed.wire).decode()


@pytest.fixture(name="pair")
def _pair() -> Pair:
    return Pair()


def test_messages_go_both_ways_over_many_turns(pair: Pair) -> None:
    for turn in range(10):
        for text in (f"ana {turn}", f"ana again {turn}"):
            assert pair.at_shop(pair.from_ana(text)) == text
        assert pair.at_ana(pair.from_shop(f"shop {turn}")) == f"shop {turn}"


def test_messages_announce_the_session_until_the_peer_has_answered(pair: Pair) -> None:
    kinds = [pair.from_ana("one").kind, pair.from_ana("two").kind]
    pair.at_shop(pair.from_ana("three"))
    pair.at_ana(pair.from_shop("answer"))
    assert [*kinds, pair.from_ana("four").kind] == ["pkmsg", "pkmsg", "msg"]


def test_messages_are_read_in_any_order(pair: Pair) -> None:
    sealed = [pair.from_ana(str(number)) for number in range(6)]
    assert [pair.at_shop(sealed[number]) for number in (5, 0, 3, 1, 4, 2)] == ["5", "0", "3", "1", "4", "2"]


def test_a_message_of_an_earlier_turn_is_still_read(pair: Pair) -> None:
    late = pair.from_ana("late")
    pair.at_shop(pair.from_ana("first"))
    pair.at_ana(pair.from_shop("answer"))
    pair.at_shop(pair.from_ana("second"))
    assert pair.at_shop(late) == "late"


def test_a_message_is_read_once(pair: Pair) -> None:
    sealed = pair.from_ana("once")
    pair.at_shop(sealed)
    with pytest.raises(AlreadyDecrypted):
        pair.at_shop(sealed)


@pytest.mark.parametrize("when", ["first message", "after an answer", "within a turn"])
def test_a_changed_message_is_refused_and_changes_nothing(pair: Pair, when: str) -> None:
    if when != "first message":
        pair.at_shop(pair.from_ana("first"))
        pair.at_ana(pair.from_shop("answer"))
    if when == "within a turn":
        pair.at_shop(pair.from_ana("second"))
    sealed = pair.from_ana("whole")
    for position in range(1, 12):
        changed = bytearray(sealed.wire)
        changed[-position] ^= 1
        with pytest.raises(DecryptFailed):
            pair.at_shop(Ciphertext(sealed.kind, bytes(changed)))
    assert pair.at_shop(sealed) == "whole"


def test_a_message_to_somebody_else_is_refused(pair: Pair) -> None:
    sealed = pair.from_ana("for the shop")
    with pytest.raises(DecryptFailed):
        Party().decrypt(ANA, sealed.kind, sealed.wire)
    with pytest.raises(DecryptFailed, match="no session"):
        Party().decrypt(ANA, "msg", sealed.wire)


def test_messages_of_the_old_session_are_read_beside_those_of_a_new_one(pair: Pair) -> None:
    pair.at_shop(pair.from_ana("first"))
    under_way = pair.from_ana("old session")
    pair.ana.start_session(SHOP, pair.shop.bundle())
    assert pair.at_shop(pair.from_ana("new session")) == "new session"
    assert pair.at_shop(under_way) == "old session"
    assert pair.at_ana(pair.from_shop("answer")) == "answer"


def test_a_one_time_key_may_come_twice_from_a_client_that_was_killed() -> None:
    shop = Party()
    bundle = shop.bundle()
    for text in (b"before the kill", b"after the kill"):
        client = Party()
        client.start_session(SHOP, bundle)
        sealed = client.encrypt(SHOP, text)
        assert shop.decrypt(ANA, sealed.kind, sealed.wire) == text


def test_a_session_without_a_one_time_key_works() -> None:
    ana, shop = Party(), Party()
    whole = shop.bundle()
    ana.start_session(SHOP, Bundle(**{**vars(whole), "one_time": None}))
    sealed = ana.encrypt(SHOP, b"text")
    assert shop.decrypt(ANA, sealed.kind, sealed.wire) == b"text"


def test_a_bundle_that_another_identity_signed_is_refused() -> None:
    bundle = Party().bundle()
    with pytest.raises(DecryptFailed):
        Party().start_session(SHOP, Bundle(**{**vars(bundle), "identity": KeyPair().public}))


def test_padding_comes_off_again() -> None:
    for size in range(40):
        padded = pad(bytes(size))
        assert size < len(padded) <= size + 15
        assert unpad(padded) == bytes(size)
