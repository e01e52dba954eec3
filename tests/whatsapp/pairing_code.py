"""Linking by a code that is typed into the phone: both sides prove that they know it without showing it."""

import asyncio
import hashlib
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.whatsapp import pairing
from tests.whatsapp.connection import Connection, PairingRefused
from tests.whatsapp.device import Device
from tests.whatsapp.hashing import hkdf
from tests.whatsapp.jid import SERVER
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.node import Malformed, Node

if TYPE_CHECKING:
    from tests.whatsapp.phone import Phone

_ROUNDS: Final = 2 << 16
_PATIENCE_S: Final = 10.0
_REG: Final = "link_code_companion_reg"


@dataclass(eq=False)
class CodePairing:
    """A client that shows a code for this number."""

    connection: Connection
    user: str
    wrapped_ephemeral: bytes
    key_bundle: bytes | None = None


def answer(connection: Connection, node: Node) -> list[Node]:
    """The client's two requests: it has made a code; it has used what the phone sent."""
    registration = node.need(_REG)
    pairings = connection.world.code_pairings
    match registration.text("stage"):
        case "companion_hello":
            ref = secrets.token_urlsafe(20)
            pairings[ref] = CodePairing(
                connection,
                registration.jid("jid").user,
                registration.need("link_code_pairing_wrapped_companion_ephemeral_pub").data,
            )
            reply = Node("link_code_pairing_ref", {}, ref.encode())
            return [Node(_REG, {"stage": "companion_hello"}, [reply])]
        case "companion_finish":
            ref = registration.need("link_code_pairing_ref").data.decode()
            pairings[ref].key_bundle = registration.need("link_code_pairing_wrapped_key_bundle").data
            return []
        case stage:
            raise Malformed(f"unknown stage {stage}")


async def enter(phone: "Phone", code: str) -> Device:
    """Raises PairingRefused, also for a wrong code."""
    world = phone.world
    pairings = [
        (ref, one)
        for ref, one in world.code_pairings.items()
        if one.user == phone.number_jid.user and one.key_bundle is None and not one.connection.ended.is_set()
    ]
    if not pairings:
        raise PairingRefused("nobody shows a code for this number")
    ref, pending = pairings[-1]
    plain_code = code.replace("-", "").upper()
    wrapped = pending.wrapped_ephemeral
    companion = await asyncio.to_thread(_cipher, plain_code, wrapped[:32], wrapped[32:48], wrapped[48:80])
    ephemeral, salt, iv = KeyPair(), os.urandom(32), os.urandom(16)
    own = salt + iv + await asyncio.to_thread(_cipher, plain_code, salt, iv, ephemeral.public)
    account = phone.party.identity
    pending.connection.send(_primary_hello(world.new_id(), own, account.public, ref))
    key_bundle = await world.until(lambda: pending.key_bundle, _PATIENCE_S, what="the client's key bundle")
    del world.code_pairings[ref]
    shared = ephemeral.agree(companion)
    key = hkdf(shared, b"link_code_pairing_key_bundle_encryption_key", 32, salt=key_bundle[:32])
    try:
        bundle = AESGCM(key).decrypt(key_bundle[32:44], key_bundle[44:], None)
    except InvalidTag as error:
        raise PairingRefused("the code is wrong") from error
    identity, named_account, random = bundle[:32], bundle[32:64], bundle[64:96]
    if named_account != account.public:
        raise PairingRefused("the key bundle names another account")
    adv_secret = hkdf(shared + account.agree(identity) + random, b"adv_secret", 32)
    return await pairing.link(phone, pending.connection, adv_secret)


def _primary_hello(request_id: str, wrapped: bytes, identity: bytes, ref: str) -> Node:
    content = [
        Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
        Node("primary_identity_pub", {}, identity),
        Node("link_code_pairing_ref", {}, ref.encode()),
    ]
    return Node(
        "notification",
        {"from": SERVER, "type": _REG, "id": request_id},
        [Node(_REG, {"stage": "primary_hello"}, content)],
    )


def _cipher(code: str, salt: bytes, iv: bytes, data: bytes) -> bytes:
    """Encrypts and decrypts; takes some 60 ms."""
    key = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _ROUNDS, 32)
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)
