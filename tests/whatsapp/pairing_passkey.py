"""The passkey step of a pairing: the phone has taken the code, and links the device once the account's passkey has signed.

Derived from what whatsmeow sends and expects (pair-passkey.go); how WhatsApp's server refuses an answer is not known.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local.network.passkey import AnswerRefused, Passkey, request_options
from tests.whatsapp.connection import Connection, PairingRefused, RequestRefused
from tests.whatsapp.hashing import hkdf
from tests.whatsapp.jid import SERVER
from tests.whatsapp.keys import KeyPair
from tests.whatsapp.node import Attribute, Malformed, Node
from tests.whatsapp.protobufs import companion_reg

if TYPE_CHECKING:
    from tests.whatsapp.phone import Phone

_HANDOFF: Final = b"shortcake-passkey-handoff-v1"
_ENCRYPTION: Final = b"Pairing Information Encryption Key"
_BAD_REQUEST: Final = 400
_PATIENCE_S: Final = 600.0
"""A person has to sign."""


@dataclass(eq=False)
class PasskeyPairing:
    """What the server keeps of one client's step."""

    passkey: Passkey
    challenge: bytes
    adv_secret: bytes
    """Of the code that the phone has taken: proves that the answer comes from the client that showed it."""
    ref: str = ""
    refusal: str = ""
    prologue: bytes = b""
    nonce: bytes = b""
    request: bytes = b""

    @property
    def identity(self) -> bytes:
        return bytes(companion_reg.ProloguePayload.FromString(self.prologue).companionEphemeralIdentity)


async def new_adv_secret(phone: "Phone", connection: Connection, passkey: Passkey, adv_secret: bytes) -> bytes:
    """Has the client answer for the account's passkey. Gives the secret that seals its device from then on. Raises PairingRefused."""
    step = PasskeyPairing(passkey=passkey, challenge=os.urandom(32), adv_secret=adv_secret)
    connection.passkey_pairing = step
    options = Node("passkey_request_options", {}, request_options(step.challenge).encode())
    connection.send(_notification(phone, "passkey_prologue_request", options))
    await _until(connection, step, lambda: step.prologue)
    if connection.world.faults.take("stall_passkey", phone=phone.number) is not None:
        await _until(connection, step, lambda: None)
    ephemeral, nonce = KeyPair(), os.urandom(32)
    own = companion_reg.PrimaryEphemeralIdentity(publicKey=ephemeral.public, nonce=nonce).SerializeToString()
    connection.send(_notification(phone, "crsc_continuation", Node("primary_ephemeral_identity", {}, own)))
    await _until(connection, step, lambda: step.request)
    identity = companion_reg.CompanionEphemeralIdentity.FromString(step.identity)
    salt = f"Companion Pairing {identity.deviceType} with ref {identity.ref}".encode()
    key = hkdf(ephemeral.agree(identity.publicKey), _ENCRYPTION, 32, salt=salt)
    sealed = companion_reg.EncryptedPairingRequest.FromString(step.request)
    try:
        opened = AESGCM(key).decrypt(sealed.IV, sealed.encryptedPayload, None)
    except InvalidTag as error:
        raise PairingRefused("the pairing request is encrypted with another key") from error
    request = companion_reg.PairingRequest.FromString(opened)
    known = (connection.noise_key, bytes(connection.registration.eIdent))
    if (request.companionPublicKey, request.companionIdentityKey) != known:
        raise PairingRefused("the pairing request's keys are not those of the connection")
    return bytes(request.advSecret)


def answer(connection: Connection, node: Node) -> list[Node] | None:
    """The client's requests of this step, in their order. None: it is none of them."""
    step = connection.passkey_pairing
    if step is None:
        return None
    match [child.tag for child in node.children]:
        case ["ref"] if node.text("type") == "get":
            step.ref = secrets.token_urlsafe(20)
            return [Node("ref", {}, step.ref.encode())]
        case ["passkey_prologue"]:
            _take_prologue(step, node.need("passkey_prologue"))
        case ["companion_nonce"]:
            _take_nonce(step, node.need("companion_nonce").data)
        case ["encrypted_pairing_request"] if step.nonce:
            step.request = node.need("encrypted_pairing_request").data
        case _:
            return None
    return []


def _take_prologue(step: PasskeyPairing, given: Node) -> None:
    payload = given.need("prologue_payload").data
    proof = hmac.digest(hkdf(step.adv_secret, _HANDOFF, 32), payload, "sha256")
    try:
        step.passkey.check(given.need("webauthn_assertion").data.decode(), step.challenge)
    except AnswerRefused as error:
        step.refusal = f"the passkey's answer: {error}"
    if given.need("credential_id").data != step.passkey.credential_id:
        step.refusal = "the credential is of another passkey"
    elif not hmac.compare_digest(given.need("pairing_handoff_proof").data, proof):
        step.refusal = "the client is not the one that showed the code"
    if step.refusal:
        raise RequestRefused(_BAD_REQUEST, "bad-request")
    step.prologue = payload
    if companion_reg.CompanionEphemeralIdentity.FromString(step.identity).ref != step.ref:
        raise Malformed("the client's identity names another ref")


def _take_nonce(step: PasskeyPairing, nonce: bytes) -> None:
    """The client had committed itself to the nonce before it knew the phone's key."""
    commitment = companion_reg.ProloguePayload.FromString(step.prologue).commitment.hash
    if hashlib.sha256(step.identity + nonce).digest() != commitment:
        raise Malformed("the nonce is not the one that was committed to")
    step.nonce = nonce


async def _until(connection: Connection, step: PasskeyPairing, find: Callable[[], bytes | None]) -> None:
    await connection.world.until(
        lambda: find() or step.refusal or connection.ended.is_set(), _PATIENCE_S, what="the passkey's answer"
    )
    if step.refusal:
        raise PairingRefused(step.refusal)
    if connection.ended.is_set():
        raise PairingRefused("the client's connection ended before the passkey's step was done")


def _notification(phone: "Phone", kind: str, content: Node) -> Node:
    attributes: dict[str, Attribute] = {
        "from": SERVER, "type": kind, "id": phone.world.new_id(), "t": int(time.time()),
    }  # fmt: skip
    return Node("notification", attributes, [content])
