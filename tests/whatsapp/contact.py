"""A contact: a person with a phone and nothing else, who writes to accounts, receives, reads and calls."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.outbound import deliver_message
from tests.whatsapp.person import Person, new_message_id, text_message, text_of
from tests.whatsapp.record import Written

if TYPE_CHECKING:
    from tests.whatsapp.device import Device
    from tests.whatsapp.phone import Phone
    from tests.whatsapp.world import World

Addressing = Literal["number", "number_only", "lid", "lid_only", "hosted"]
"""Which name a stanza comes from; without `_only` it carries the other one too. `hosted`: as `lid`, with the number as that of a device that
Meta hosts for a company."""
_HOSTED_DEVICE = 99
ReceiptKind = Literal["delivered", "read", "played", "inactive", "sender"]


class Contact(Person):
    def __init__(self, world: "World", number: str, name: str, *, addressing: Addressing, reads: bool) -> None:
        super().__init__(world, number, name)
        self.addressing = addressing
        self.reads = reads
        """Whether it opens each message at once."""
        self.delivers = True
        """Whether its phone is on: it says of each message that it was delivered."""
        self.linked_devices = 0
        """Beside its phone: each says of a message that it was delivered, and, when the chat is opened (`read`), that it was read."""
        self.is_registered = True
        """Whether the number has a WhatsApp account at all."""
        self.ticks: list[str] = []
        """Its messages that its app shows with a second tick: a device has said that they came."""
        self.inactive_receipts: list[str] = []
        """Its messages that came to a device which nobody looks at: apps show one tick."""
        self._read: set[tuple[str, str]] = set()

    async def send(
        self,
        phone: "Phone",
        text: str,
        id: str | None = None,  # noqa: A002 - the word that tests use
        addressing: Addressing | None = None,
    ) -> Written:
        """Writes a text to all linked devices of a phone. An id may be used again: it is another message then."""
        return await self.send_message(phone, text_message(text), id=id, addressing=addressing)

    async def send_message(
        self,
        phone: "Phone",
        message: Any,
        id: str | None = None,  # noqa: A002 - the word that tests use
        addressing: Addressing | None = None,
        kind: str = "text",
    ) -> Written:
        """Sends any e2e.Message; bytes stand for one as they are, for what no library would make."""
        message_id = id or new_message_id()
        now = time.time()
        attributes: dict[str, Attribute] = {
            **self.sender_attributes(addressing),
            "id": message_id,
            "type": kind,
            "t": int(now),
            "notify": self.name,
        }
        written = Written(
            account=phone.number,
            contact=self.number,
            id=message_id,
            text=None if isinstance(message, bytes) else text_of(message),
            message=message,
            from_me=False,
            written_at=now,
        )
        self.world.record.written.append(written)
        phone.remember(self, written, attributes)
        deliver_message(self, phone, message, attributes)
        self.world.notify()
        return written

    def send_view_once(self, phone: "Phone") -> str:
        """Sends something that may be seen once. Linked devices are only told that it is there: the phone alone shows it, and hands
        it over to nobody (https://github.com/tulir/whatsmeow/issues/705). Answers the message's id."""
        message_id = new_message_id()
        attributes: dict[str, Attribute] = {
            **self.sender_attributes(None),
            "id": message_id,
            "type": "media",
            "t": int(time.time()),
            "notify": self.name,
        }
        for device in phone.devices:
            device.deliver(Node("message", dict(attributes), [Node("unavailable", {"type": "view_once"})]))
        self.world.notify()
        return message_id

    async def read(self, phone: "Phone", ids: Sequence[str] | None = None) -> list[str]:
        """Opens the chat: one receipt for all that was unread, or for these. Answers their ids."""
        unread = [
            shown.id
            for shown in self.inbox
            if shown.sender == phone.number and (shown.sender, shown.id) not in self._read
        ]
        chosen = list(ids) if ids is not None else unread
        if chosen:
            self._read.update((phone.number, message_id) for message_id in chosen)
            for device in phone.devices:
                for number in range(self.linked_devices + 1):
                    self.send_receipt(device, chosen, "read", from_device=number)
            self.world.notify()
        return chosen

    def receipt(
        self, phone: "Phone", ids: Sequence[str], kind: ReceiptKind, addressing: Addressing | None = None
    ) -> None:
        """A receipt about any ids, true or not, to all linked devices."""
        for device in phone.devices:
            self.send_receipt(device, ids, kind, addressing)
        self.world.notify()

    def send_receipt(
        self,
        device: "Device",
        ids: Sequence[str],
        kind: ReceiptKind,
        addressing: Addressing | None = None,
        *,
        from_device: int = 0,
    ) -> None:
        """`from_device` is the contact's own device; 0 is its phone."""
        sender = self.sender_attributes(addressing)
        if isinstance(sender["from"], Jid):
            sender["from"] = sender["from"].with_device(from_device)
        others = [Node("item", {"id": message_id}) for message_id in ids[1:]]
        attributes: dict[str, Attribute] = {
            **sender,
            "id": ids[0],
            "type": None if kind == "delivered" else kind,
            "t": int(time.time()),
        }
        device.deliver(Node("receipt", attributes, [Node("list", {}, others)] if others else None))

    def message_arrived(self, device: "Device", message_id: str) -> None:
        """What its phone says by itself when a message has come: the receipts come from the LID, which it was sent to."""
        addressing: Addressing = "lid_only" if self.addressing == "lid_only" else "lid"
        held = self.world.faults.take("hold_receipts", phone=device.phone.number, contact=self.number)

        def answer() -> None:
            if self.delivers:
                for number in range(self.linked_devices + 1):
                    self.send_receipt(device, [message_id], "delivered", addressing, from_device=number)
            if self.reads:
                self._read.add((device.phone.number, message_id))
                self.send_receipt(device, [message_id], "read", addressing)

        if held is not None:
            held.when_over(answer)
        elif self.world.receipt_delay_s:
            asyncio.get_running_loop().call_later(self.world.receipt_delay_s, answer)
        else:
            answer()

    def call(self, phone: "Phone", id: str | None = None, group: Jid | None = None) -> str:  # noqa: A002 - the word that tests use
        """Rings at all linked devices, in a call to a group where one is given; answers the call's id."""
        call_id = id or os.urandom(16).hex().upper()
        sender = self.sender_attributes(None)["from"]
        offer = Node("offer", {"call-id": call_id, "call-creator": sender, "caller_pn": self.number_jid})
        if self.addressing == "lid_only":
            offer.attributes["caller_pn"] = None
        if group is not None:
            offer.attributes["group-jid"] = group
        for device in phone.devices:
            attributes: dict[str, Attribute] = {
                "from": sender,
                "id": new_message_id(),
                "t": int(time.time()),
                "platform": "android",
                "version": "2.26.1",
            }
            device.deliver(Node("call", attributes, [offer]))
        return call_id

    def sender_attributes(self, addressing: Addressing | None) -> dict[str, Attribute]:
        match addressing or self.addressing:
            case "number":
                return {"from": self.number_jid, "sender_lid": self.lid, "addressing_mode": "pn"}
            case "number_only":
                return {"from": self.number_jid, "addressing_mode": "pn"}
            case "lid":
                return {"from": self.lid, "sender_pn": self.number_jid, "addressing_mode": "lid"}
            case "lid_only":
                return {"from": self.lid, "addressing_mode": "lid"}
            case "hosted":
                hosted = Jid(self.number_jid.user, "hosted", _HOSTED_DEVICE)
                return {"from": self.lid, "sender_pn": hosted, "addressing_mode": "lid"}
