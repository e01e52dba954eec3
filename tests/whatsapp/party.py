"""A device's Signal identity: its keys, the bundles it hands out, and its sessions with other devices."""

import os
from dataclasses import dataclass, field
from typing import Final

from tests.whatsapp.hashing import hkdf
from tests.whatsapp.jid import Jid
from tests.whatsapp.keys import KeyPair, RatchetKey, is_signed
from tests.whatsapp.ratchet import (
    Agreeing,
    Chain,
    Ciphertext,
    DecryptFailed,
    Session,
    WireFields,
    decode_fields,
    root_step,
    typed,
    untyped,
)

_SIGNED_ID: Final = 1
_MOST_SESSIONS: Final = 40
_DISCONTINUITY: Final = b"\xff" * 32


@dataclass(frozen=True, kw_only=True)
class OneTimeKey:
    id: int
    public: bytes


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A device's public keys, as the server hands them to who wants to write to it."""

    registration_id: int
    identity: bytes
    signed_id: int
    signed_public: bytes
    signed_signature: bytes
    one_time: OneTimeKey | None


@dataclass
class Party:
    identity: KeyPair = field(default_factory=KeyPair)
    registration_id: int = field(default_factory=lambda: int.from_bytes(os.urandom(2), "big") & 0x3FFF or 1)
    _signed: KeyPair = field(default_factory=KeyPair)
    _one_time: dict[int, RatchetKey] = field(default_factory=dict)
    _sessions: dict[Jid, list[Session]] = field(default_factory=dict)
    """The present one first: messages under way may still need the others."""

    def bundle(self) -> Bundle:
        """A bundle with a one-time key of its own."""
        key_id = len(self._one_time) + 1
        self._one_time[key_id] = RatchetKey()
        return Bundle(
            registration_id=self.registration_id,
            identity=self.identity.public,
            signed_id=_SIGNED_ID,
            signed_public=self._signed.public,
            signed_signature=self.identity.sign(typed(self._signed.public)),
            one_time=OneTimeKey(id=key_id, public=self._one_time[key_id].public),
        )

    def has_session(self, peer: Jid) -> bool:
        return bool(self._sessions.get(peer))

    def forget_sessions(self, peer: Jid) -> None:
        self._sessions.pop(peer, None)

    def start_session(self, peer: Jid, bundle: Bundle) -> None:
        """X3DH as the initiator. Older sessions stay, to read what is under way in them.

        Raises DecryptFailed if the bundle is not signed by its identity.
        """
        if not is_signed(bundle.identity, typed(bundle.signed_public), bundle.signed_signature):
            raise DecryptFailed("the signed prekey is not its identity's")
        base = RatchetKey()
        secret = (
            _DISCONTINUITY
            + self.identity.agree(bundle.signed_public)
            + base.agree(bundle.identity)
            + base.agree(bundle.signed_public)
        )
        header: WireFields = {5: self.registration_id}
        if bundle.one_time is not None:
            secret += base.agree(bundle.one_time.public)
            header[1] = bundle.one_time.id
        header |= {6: bundle.signed_id, 2: typed(base.public), 3: typed(self.identity.public)}
        keys = hkdf(secret, b"WhisperText", 64)
        ratchet = RatchetKey()
        root, chain_key = root_step(keys[:32], ratchet, bundle.signed_public)
        session = Session(
            own_identity=self.identity.public,
            peer_identity=bundle.identity,
            root=root,
            ratchet=ratchet,
            sending=Chain(chain_key),
            base_key=base.public,
            receiving={bundle.signed_public: Chain(keys[32:])},
            header=header,
        )
        self._put_first(peer, session)

    def encrypt(self, peer: Jid, plaintext: bytes) -> Ciphertext:
        return self._sessions[peer][0].encrypt(plaintext)

    def decrypt(self, peer: Jid, kind: str, wire: bytes) -> bytes:
        """Raises DecryptFailed."""
        if kind == "pkmsg":
            return self._decrypt_first(peer, wire)
        failure = DecryptFailed("there is no session")
        for session in self._sessions.get(peer, []):
            try:
                plaintext = session.decrypt(wire)
            except DecryptFailed as error:
                failure = error
                continue
            self._put_first(peer, session)
            return plaintext
        raise failure

    def _decrypt_first(self, peer: Jid, wire: bytes) -> bytes:
        fields = decode_fields(wire[1:])
        base_key, message = untyped(fields.get(2)), fields.get(4)
        if not isinstance(message, bytes):
            raise DecryptFailed("the prekey message is empty")
        known = (session for session in self._sessions.get(peer, []) if session.base_key == base_key)
        session = next(known, None) or self._accept(fields, base_key)
        plaintext = session.decrypt(message)
        self._put_first(peer, session)
        return plaintext

    def _accept(self, fields: WireFields, base_key: bytes) -> Session:
        """X3DH as the responder. One-time keys are kept: a client that was killed may use one again."""
        if fields.get(6) != _SIGNED_ID:
            raise DecryptFailed("unknown signed prekey")
        peer_identity = untyped(fields.get(3))
        secret = (
            _DISCONTINUITY
            + self._signed.agree(peer_identity)
            + self.identity.agree(base_key)
            + self._signed.agree(base_key)
        )
        one_time_id = fields.get(1)
        if isinstance(one_time_id, int):
            one_time: Agreeing | None = self._one_time.get(one_time_id)
            if one_time is None:
                raise DecryptFailed("unknown one-time prekey")
            secret += one_time.agree(base_key)
        keys = hkdf(secret, b"WhisperText", 64)
        return Session(
            own_identity=self.identity.public,
            peer_identity=peer_identity,
            root=keys[:32],
            ratchet=self._signed,
            sending=Chain(keys[32:]),
            base_key=base_key,
        )

    def _put_first(self, peer: Jid, session: Session) -> None:
        sessions = self._sessions.setdefault(peer, [])
        if sessions and sessions[0] is session:
            return
        sessions[:] = [session, *(other for other in sessions if other is not session)][:_MOST_SESSIONS]


def pad(plaintext: bytes) -> bytes:
    """As WhatsApp hides a message's length: n bytes of value n, 1 to 15."""
    size = os.urandom(1)[0] & 0xF or 0xF
    return plaintext + bytes((size,)) * size


def unpad(padded: bytes) -> bytes:
    return padded[: -padded[-1]] if padded else padded
