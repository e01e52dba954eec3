"""Messages on their way to linked devices: encrypted for each, with the faults that befall them."""

from typing import TYPE_CHECKING, Any, Final

from tests.whatsapp.device import Device, SentMessage
from tests.whatsapp.node import Attribute, Node

if TYPE_CHECKING:
    from tests.whatsapp.party import Bundle
    from tests.whatsapp.person import Person
    from tests.whatsapp.phone import Phone

_SPOILT_BYTES: Final = 20


def deliver_message(sender: "Person", phone: "Phone", message: Any, attributes: dict[str, Attribute]) -> None:
    """To every linked device of the phone; `message` is an e2e.Message or its bytes."""
    wire = message if isinstance(message, bytes) else message.SerializeToString()
    for device in phone.devices:
        _deliver(sender, device, wire, attributes)


def resend(device: Device, message_id: str, sender_address: str, bundle: "Bundle | None") -> bool:
    """Answers a retry receipt: the same id again, in a new session. False where nothing of the kind was sent."""
    sent = device.sent.get((message_id, sender_address))
    if sent is None:
        return False
    if sent.answers_retry:
        sent.sender.party.start_session(device.lid, bundle or device.take_bundle())
        device.deliver(Node("message", dict(sent.attributes), [sent.sender.seal(device, sent.message, count=1)]))
    return True


def _deliver(sender: "Person", device: Device, wire: bytes, attributes: dict[str, Attribute]) -> None:
    faults, numbers = sender.world.faults, {"phone": device.phone.number, "contact": sender.number}
    key = (str(attributes["id"]), str(attributes["from"]))
    unavailable = faults.take("unavailable", **numbers)
    if unavailable is not None:
        if not unavailable.answers:
            device.phone.lose(key[0])
        device.deliver(Node("message", dict(attributes), [Node("unavailable", {})]))
        return
    sealed = sender.seal(device, wire)
    corrupt = faults.take("corrupt", **numbers)
    if corrupt is not None:
        sealed = Node("enc", sealed.attributes, sealed.data[:-_SPOILT_BYTES] + bytes(_SPOILT_BYTES))
    device.sent[key] = SentMessage(
        sender=sender,
        message=wire,
        attributes=attributes,
        answers_retry=corrupt is None or corrupt.answers,
    )
    stanza = Node("message", dict(attributes), [sealed])
    device.deliver(stanza)
    if faults.take("duplicate", **numbers):
        device.deliver(stanza)
