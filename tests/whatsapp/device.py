"""A linked device as the server knows it: its keys, what waits for it, and its connection."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.offline_queue import OfflineQueue
from tests.whatsapp.party import Bundle, OneTimeKey

if TYPE_CHECKING:
    from tests.whatsapp.connection import Connection
    from tests.whatsapp.person import Person
    from tests.whatsapp.phone import Phone


class NotConnected(Exception):
    """The device has no connection now."""


@dataclass(frozen=True, kw_only=True)
class SentMessage:
    """What a person sent to the device, kept in case that it asks again."""

    sender: "Person"
    message: Any
    attributes: dict[str, Attribute]
    answers_retry: bool


@dataclass(kw_only=True, eq=False)
class Device:
    phone: "Phone"
    number: int
    """Counts the phone's linked devices, from 1."""
    identity: bytes
    registration_id: int
    signed_prekey: tuple[int, bytes, bytes]
    """Id, public key and signature."""
    noise_key: bytes
    prekeys: dict[int, bytes] = field(default_factory=dict)
    waiting: OfflineQueue = field(default_factory=OfflineQueue)
    """Stanzas that it has not confirmed."""
    sent: dict[tuple[str, str], SentMessage] = field(default_factory=dict)
    """By id and sender's address."""
    connection: "Connection | None" = None
    is_greeted: bool = False
    logins: int = 0
    pings: int = 0

    @property
    def number_jid(self) -> Jid:
        return self.phone.number_jid.with_device(self.number)

    @property
    def lid(self) -> Jid:
        return self.phone.lid.with_device(self.number)

    @property
    def is_connected(self) -> bool:
        return self.connection is not None

    @property
    def is_ready(self) -> bool:
        """Logged in, done with its first requests, and its offline queue is written."""
        return self.connection is not None and self.connection.is_flushed

    async def ready(self, timeout_s: float = 30.0) -> None:
        await self.phone.world.until(lambda: self.is_ready, timeout_s, what="the device to be ready")

    @property
    def is_caught_up(self) -> bool:
        """WhatsApp has its word on all that was sent to it, and would not send any of it again."""
        return not len(self.waiting)

    async def caught_up(self, timeout_s: float = 30.0) -> None:
        await self.phone.world.until(lambda: self.is_caught_up, timeout_s, what="the device to have caught up")

    def need_connection(self) -> "Connection":
        if self.connection is None:
            raise NotConnected(f"device {self.number} of {self.phone.name}")
        return self.connection

    def take_bundle(self) -> Bundle:
        """The device's keys, with one one-time key fewer than before."""
        one_time: OneTimeKey | None = None
        if self.prekeys:
            key_id = next(iter(self.prekeys))
            one_time = OneTimeKey(id=key_id, public=self.prekeys.pop(key_id))
        signed_id, signed_public, signature = self.signed_prekey
        return Bundle(
            registration_id=self.registration_id,
            identity=self.identity,
            signed_id=signed_id,
            signed_public=signed_public,
            signed_signature=signature,
            one_time=one_time,
        )

    def deliver(self, stanza: Node) -> None:
        """Queues a stanza, and writes it at once to a device that has all that came before."""
        entry = self.waiting.add(stanza)
        if self.connection is not None:
            self.connection.deliver(entry)

    def __repr__(self) -> str:
        return f"Device({self.number} of {self.phone.name})"
