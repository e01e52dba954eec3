"""A contact: under which names WhatsApp shows it, and what its app shows of what reached it."""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum


class Addressing(StrEnum):
    """Which name of a contact stands on what it sends: WhatsApp uses the number or the LID, and does not always give the other.

    With NUMBER, the engine gives the LID too: it looks it up. NUMBER_ONLY: nobody could tell the LID.
    """

    NUMBER = "number"
    NUMBER_ONLY = "number_only"
    LID = "lid"
    LID_ONLY = "lid_only"
    HOSTED = "hosted"
    """By the LID, with the number on WhatsApp's server for devices that Meta hosts for a company: `number:99@hosted`."""


@dataclass(frozen=True, kw_only=True)
class InboxMessage:
    """A message as the contact's app shows it: once for each sender and id, however often its frame came."""

    sender: str
    whatsapp_id: str
    text: str
    timestamp_s: int


@dataclass(kw_only=True)
class Contact:
    """`reads`: opens what it gets at once. The inbox is in the order of arrival."""

    phone: str
    name: str
    reads: bool = False
    addressing: Addressing = Addressing.NUMBER
    inbox: list[InboxMessage] = field(default_factory=list)
    read_ids: set[tuple[str, str]] = field(default_factory=set)

    @property
    def number_jid(self) -> str:
        return number_jid(self.phone)

    @property
    def lid(self) -> str:
        return lid_of(self.phone)

    def names(self, addressing: Addressing | None = None) -> tuple[str, str]:
        """The chat's JID and the other name, empty where it is not told."""
        match addressing or self.addressing:
            case Addressing.NUMBER:
                return self.number_jid, self.lid
            case Addressing.NUMBER_ONLY:
                return self.number_jid, ""
            case Addressing.LID | Addressing.HOSTED:
                return self.lid, self.number_jid
            case Addressing.LID_ONLY:
                return self.lid, ""

    def receive(self, message: InboxMessage) -> None:
        """The app shows a repeated (sender, id) once, with what came first."""
        if not any(m.sender == message.sender and m.whatsapp_id == message.whatsapp_id for m in self.inbox):
            self.inbox.append(message)

    def read(self, sender: str, whatsapp_ids: list[str] | None = None) -> list[str]:
        """Opens messages of a sender (all that are unread unless given) and returns the ids that a receipt is due for."""
        unread = [
            message.whatsapp_id
            for message in self.inbox
            if message.sender == sender and (sender, message.whatsapp_id) not in self.read_ids
        ]
        opened = unread if whatsapp_ids is None else whatsapp_ids
        self.read_ids.update((sender, whatsapp_id) for whatsapp_id in opened)
        return opened


def number_jid(phone: str) -> str:
    return f"{phone.removeprefix('+')}@s.whatsapp.net"


def lid_of(phone: str) -> str:
    """A contact's LID follows from its number, so that it is the same in every run, but cannot be read off it."""
    digits = int.from_bytes(hashlib.sha256(phone.encode()).digest()[:8], "big") % 10**14
    return f"1{digits:014d}@lid"
