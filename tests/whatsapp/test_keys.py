"""Keys that agree also sign, in Signal's way."""

import pytest

from tests.whatsapp.hashing import hkdf
from tests.whatsapp.keys import KeyPair, RatchetKey, is_signed


def test_both_sides_agree_on_one_secret() -> None:
    mine, theirs = KeyPair(), RatchetKey()
    assert mine.agree(theirs.public) == theirs.agree(mine.public)


def test_signatures_hold_for_their_key_and_message_alone() -> None:
    for _ in range(20):  # both signs of the Edwards point
        key = KeyPair()
        signature = key.sign(b"message")
        assert is_signed(key.public, b"message", signature)
        assert not is_signed(key.public, b"another", signature)
        assert not is_signed(KeyPair().public, b"message", signature)
        assert not is_signed(key.public, b"message", signature[:63] + bytes((signature[63] ^ 0x80,)))


@pytest.mark.parametrize(
    ("secret", "salt", "info", "size", "expected"),
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "0b" * 22,
            "",
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
    ids=["RFC 5869 case 1", "RFC 5869 case 3"],
)
def test_hkdf_gives_the_standard_s_own_examples(secret: str, salt: str, info: str, size: int, expected: str) -> None:
    derived = hkdf(bytes.fromhex(secret), bytes.fromhex(info), size, salt=bytes.fromhex(salt))
    assert derived.hex() == expected
