"""A person with a WhatsApp account: two names, a phone's keys, and what the phone's app shows."""

import os
import time
from typing import TYPE_CHECKING, Any

from tests.whatsapp.jid import invented_lid, number_jid
from tests.whatsapp.node import Node
from tests.whatsapp.party import Party, pad
from tests.whatsapp.protobufs import e2e
from tests.whatsapp.record import Shown

if TYPE_CHECKING:
    from tests.whatsapp.device import Device
    from tests.whatsapp.world import World


class Person:
    def __init__(self, world: "World", number: str, name: str) -> None:
        self.world = world
        self.number = number
        """+E.164"""
        self.name = name
        self.number_jid = number_jid(number)
        self.lid = invented_lid(number)
        self.party = Party()
        self._shown: dict[tuple[str, str], Shown] = {}

    @property
    def inbox(self) -> list[Shown]:
        """What the app shows, in the order of arrival: each (sender, id) once."""
        return list(self._shown.values())

    def find_shown(self, sender: str, message_id: str) -> Shown | None:
        return self._shown.get((sender, message_id))

    def show(self, sender: str, message_id: str, message: Any) -> None:
        """The app receives a message; one that it has already is not shown again."""
        if (sender, message_id) not in self._shown:
            self._shown[sender, message_id] = Shown(
                sender=sender, id=message_id, text=text_of(message), message=message, shown_at=time.time()
            )

    def seal(self, device: "Device", message: bytes, *, count: int | None = None) -> Node:
        """A message encrypted for a linked device, in a new session where there is none."""
        if not self.party.has_session(device.lid):
            self.party.start_session(device.lid, device.take_bundle())
        sealed = self.party.encrypt(device.lid, pad(message))
        return Node("enc", {"v": 2, "type": sealed.kind, "count": count}, sealed.wire)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


def new_message_id() -> str:
    return "3A" + os.urandom(15).hex().upper()


def text_message(text: str) -> Any:
    return e2e.Message(conversation=text)


def text_of(message: Any) -> str | None:
    """The text of a message of that kind; None of another."""
    if message.HasField("conversation"):
        return str(message.conversation)
    if message.HasField("extendedTextMessage"):
        return str(message.extendedTextMessage.text)
    return None
