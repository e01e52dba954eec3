"""Groups: members who write with sender keys, and what the server tells of a group that is asked for."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.whatsapp.device import SentMessage
from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.party import pad
from tests.whatsapp.person import new_message_id, text_message, text_of
from tests.whatsapp.protobufs import e2e
from tests.whatsapp.record import Written
from tests.whatsapp.sender_keys import SenderKey

if TYPE_CHECKING:
    from tests.whatsapp.connection import Connection
    from tests.whatsapp.contact import Contact
    from tests.whatsapp.device import Device
    from tests.whatsapp.phone import Phone

GROUP_SERVER: Final = "g.us"
_NOT_FOUND: Final = 404
_SPOILT_BYTES: Final = 20


@dataclass(eq=False)
class Group:
    """Members are named by LID (`addressing` lid) or by number, as WhatsApp migrates groups one by one."""

    jid: Jid
    name: str
    phone: "Phone"
    """The account that is a member, with all its linked devices."""
    members: "Sequence[Contact]"
    addressing: str = "lid"
    _keys: dict[str, SenderKey] = field(default_factory=dict)
    """By the member's number."""
    _told: set[tuple[str, "Device"]] = field(default_factory=set)
    """The devices that have a member's key."""

    async def send(self, member: "Contact | Phone", text: str, id: str | None = None) -> Written:  # noqa: A002
        """A member writes a text; the account's owner does on the phone. An id may be used again: by another member, it is another message."""
        return await self.send_message(member, text_message(text), id=id)

    async def send_message(self, member: "Contact | Phone", message: Any, id: str | None = None) -> Written:  # noqa: A002
        """Sends any e2e.Message. A device that has not the member's key gets it in a part of its own, under the same id."""
        message_id, now = id or new_message_id(), time.time()
        written = Written(
            account=self.phone.number,
            contact=member.number,
            id=message_id,
            text=text_of(message),
            message=message,
            from_me=member is self.phone,
            written_at=now,
        )
        self.phone.world.record.written.append(written)
        key = self._keys.setdefault(member.number, SenderKey())
        distribution = key.distribution()
        wire = message.SerializeToString()
        sealed = key.encrypt(pad(wire))
        attributes: dict[str, Attribute] = {
            **self._sender(member),
            "id": message_id,
            "type": "text",
            "t": int(now),
            "notify": member.name,
        }
        for device in self.phone.devices:
            corrupt = self.phone.world.faults.take("corrupt", phone=self.phone.number, contact=member.number)
            whole = sealed if corrupt is None else sealed[:-_SPOILT_BYTES] + bytes(_SPOILT_BYTES)
            parts = [Node("enc", {"v": 2, "type": "skmsg"}, whole)]
            device.sent[message_id, str(self.jid)] = SentMessage(
                sender=member,
                message=wire,
                attributes=attributes,
                answers_retry=corrupt is None or corrupt.answers,
            )
            if (member.number, device) not in self._told:
                self._told.add((member.number, device))
                parts.insert(0, member.seal(device, self._distributed(distribution)))
            device.deliver(Node("message", dict(attributes), parts))
        self.phone.world.notify()
        return written

    def send_view_once(self, member: "Contact") -> str:
        """Something that may be seen once: linked devices are only told that it is there. Answers the message's id."""
        message_id = new_message_id()
        attributes: dict[str, Attribute] = {
            **self._sender(member),
            "id": message_id,
            "type": "media",
            "t": int(time.time()),
            "notify": member.name,
        }
        for device in self.phone.devices:
            device.deliver(Node("message", dict(attributes), [Node("unavailable", {"type": "view_once"})]))
        self.phone.world.notify()
        return message_id

    def forget_keys(self, member: "Contact") -> None:
        """The member begins a new key, as apps do when somebody leaves."""
        self._keys.pop(member.number, None)
        self._told = {told for told in self._told if told[0] != member.number}

    def node(self) -> Node:
        """What a query for the group is answered with."""
        participants = [
            Node("participant", {"jid": person.lid, "phone_number": person.number_jid})
            if self.addressing == "lid"
            else Node("participant", {"jid": person.number_jid, "lid": person.lid})
            for person in (self.phone, *self.members)
        ]
        attributes: dict[str, Attribute] = {
            "id": self.jid.user,
            "subject": self.name,
            "creation": int(time.time()),
            "addressing_mode": self.addressing,
            "size": len(participants),
        }
        return Node("group", attributes, participants)

    def _sender(self, member: "Contact | Phone") -> dict[str, Attribute]:
        if self.addressing == "lid":
            return {
                "from": self.jid,
                "participant": member.lid,
                "participant_pn": member.number_jid,
                "addressing_mode": "lid",
            }
        return {
            "from": self.jid,
            "participant": member.number_jid,
            "participant_lid": member.lid,
            "addressing_mode": "pn",
        }

    def _distributed(self, distribution: bytes) -> bytes:
        message = e2e.Message()
        message.senderKeyDistributionMessage.groupID = str(self.jid)
        message.senderKeyDistributionMessage.axolotlSenderKeyDistributionMessage = distribution
        wire: bytes = message.SerializeToString()
        return wire


def group_query(connection: "Connection", node: Node) -> list[Node]:
    """A request in the namespace w:g2. Only what a group is called and who is in it can be asked for."""
    group = connection.world.groups.get(str(node.jid("to")))
    if node.child("query") is None or group is None:
        return [Node("error", {"code": _NOT_FOUND, "text": "item-not-found"})]
    connection.world.group_queries.append(group.jid)
    return [group.node()]
