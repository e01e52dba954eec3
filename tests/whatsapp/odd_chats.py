"""Messages in chats that are no contact's own: status updates, broadcast lists, channels, WhatsApp's own accounts and the account's own chat.

Each function delivers one text to all linked devices of a phone, in the form that whatsmeow parses, and answers the message's id.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.whatsapp.groups import Group
from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.outbound import deliver_message
from tests.whatsapp.person import new_message_id, text_message
from tests.whatsapp.protobufs import e2e

if TYPE_CHECKING:
    from tests.whatsapp.contact import Contact
    from tests.whatsapp.person import Person
    from tests.whatsapp.phone import Phone

Name = Literal["number", "lid"]
HOSTED_DEVICE: Final = 99
"""The device by which a company's service, hosted by WhatsApp, writes."""
_LIST: Final = Jid("1700000000", "broadcast")
_STATUS: Final = Jid("status", "broadcast")


def from_address(contact: "Contact", phone: "Phone", text: str, address: Jid) -> str:
    """A text from any address, in a direct chat with it. Nobody has written to the account by the contact's keys before."""
    return _deliver(contact, phone, text_message(text), {"from": address})


def from_hosted(contact: "Contact", phone: "Phone", text: str, by: Name) -> str:
    """The contact's service, which WhatsApp hosts, writes for the contact."""
    if by == "number":
        source: dict[str, Attribute] = {
            "from": Jid(contact.number_jid.user, "hosted", HOSTED_DEVICE),
            "sender_lid": Jid(contact.lid.user, "hosted.lid", HOSTED_DEVICE),
        }
    else:
        source = {"from": Jid(contact.lid.user, "hosted.lid", HOSTED_DEVICE), "sender_pn": contact.number_jid}
    return _deliver(contact, phone, text_message(text), source)


def from_list_of(contact: "Contact", phone: "Phone", text: str) -> str:
    """The contact writes to a broadcast list of its own, and the account is on that list."""
    source: dict[str, Attribute] = {
        "from": _LIST,
        "participant": contact.lid,
        "participant_pn": contact.number_jid,
        "addressing_mode": "lid",
    }
    return _deliver(contact, phone, text_message(text), source)


async def status_update(contact: "Contact", phone: "Phone", text: str) -> str:
    """A status update of a contact. WhatsApp encrypts it with a sender key, as in a group."""
    written = await Group(jid=_STATUS, name="", phone=phone, members=[contact]).send(contact, text)
    return written.id


def typed_to_self(phone: "Phone", text: str, by: Name) -> str:
    """The account's owner writes to the own number ("message yourself")."""
    if by == "number":
        source: dict[str, Attribute] = {"recipient": phone.number_jid, "peer_recipient_lid": phone.lid}
    else:
        source = {"recipient": phone.lid, "peer_recipient_pn": phone.number_jid}
    return _deliver(phone, phone, _copy(phone.lid, text), {"from": phone.lid, **source})


def typed_to_list(phone: "Phone", text: str) -> str:
    """The account's owner writes to a broadcast list on the phone."""
    return _deliver(phone, phone, _copy(_LIST, text), {"from": _LIST, "participant": phone.lid})


def typed_as_status(phone: "Phone", text: str) -> str:
    """The account's owner makes a status update on the phone."""
    return _deliver(phone, phone, _copy(_STATUS, text), {"from": _STATUS, "participant": phone.lid})


def in_channel(phone: "Phone", text: str) -> str:
    """A text in a channel that the account follows. It is not encrypted."""
    return _put(phone, Jid("120363000000000001", "newsletter"), Node("plaintext", {}, _wire(text)), {"server_id": 101})


def from_assistant(phone: "Phone") -> str:
    """An assistant's answer. It is encrypted with the secret of a question that the device has not seen."""
    sealed = Node("enc", {"v": 2, "type": "msmsg"}, _wire("an answer"))
    return _put(phone, Jid("867051314767696", "bot"), sealed, {})


def _put(phone: "Phone", chat: Jid, content: Node, attributes: Mapping[str, Attribute]) -> str:
    message_id = new_message_id()
    for device in phone.devices:
        whole: dict[str, Attribute] = {
            "from": chat,
            "id": message_id,
            "type": "text",
            "t": int(time.time()),
            **attributes,
        }
        device.deliver(Node("message", whole, [content]))
    phone.world.notify()
    return message_id


def _deliver(sender: "Person", phone: "Phone", message: Any, source: Mapping[str, Attribute]) -> str:
    message_id = new_message_id()
    attributes: dict[str, Attribute] = {
        **source,
        "id": message_id,
        "type": "text",
        "t": int(time.time()),
        "notify": sender.name,
    }
    deliver_message(sender, phone, message, attributes)
    phone.world.notify()
    return message_id


def _copy(chat: Jid, text: str) -> Any:
    copy = e2e.Message()
    copy.deviceSentMessage.destinationJID = str(chat)
    copy.deviceSentMessage.message.conversation = text
    return copy


def _wire(text: str) -> bytes:
    wire: bytes = text_message(text).SerializeToString()
    return wire
