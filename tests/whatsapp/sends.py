"""Messages that linked devices send: decrypted as their recipients do, recorded, and acknowledged."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from tests.whatsapp import reachout_lock
from tests.whatsapp.connection import Connection
from tests.whatsapp.device import Device
from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Malformed, Node
from tests.whatsapp.party import unpad
from tests.whatsapp.person import text_of
from tests.whatsapp.phone import Phone
from tests.whatsapp.prekeys import bundle_content, registration_node
from tests.whatsapp.protobufs import e2e
from tests.whatsapp.ratchet import AlreadyDecrypted, DecryptFailed
from tests.whatsapp.record import Frame

if TYPE_CHECKING:
    from tests.whatsapp.contact import Contact

_NOT_FOUND: Final = 404
_AFTER_THE_WORD_S: Final = 0.3
"""So that what is said of a lock has come before the refusal."""


def message_received(connection: Connection, node: Node) -> None:
    device = connection.device
    if device is None:
        raise Malformed("a message before a login")
    to = connection.world.person(node.jid("to"))
    if to is device.phone:
        _peer_message(connection, device, node)
        return
    if to is None or isinstance(to, Phone):
        _forward(device, node)
        _acknowledge(connection, node, error=_NOT_FOUND if to is None else None)
        return
    faults, numbers = connection.world.faults, {"phone": device.phone.number, "contact": to.number}
    if faults.take("lose_frames", **numbers):
        return
    refusal = faults.take("refuse", **numbers)
    if refusal is not None:
        _record(device, to, node, None, decryptable=False, refused=refusal.code)
        if refusal.seconds and refusal.hits == 1:
            reachout_lock.begin(device.phone, refusal)
            later = asyncio.get_running_loop().call_later
            later(_AFTER_THE_WORD_S, _acknowledge, connection, node, refusal.code)
        else:
            _acknowledge(connection, node, error=refusal.code)
        return
    _forward(device, node)
    _arrive(device, to, node)
    if faults.take("drop_at_frame", **numbers):
        connection.abort()
        return
    _acknowledge_in_time(connection, node, numbers)


def _acknowledge_in_time(connection: Connection, node: Node, numbers: dict[str, str]) -> None:
    faults = connection.world.faults
    held = faults.take("hold_acks", **numbers)
    if held is not None:
        held.when_over(lambda: _acknowledge(connection, node))
        return
    late = faults.take("late_acks", **numbers)
    if late is not None:
        asyncio.get_running_loop().call_later(late.seconds, _acknowledge, connection, node)
        return
    _acknowledge(connection, node)


def _acknowledge(connection: Connection, node: Node, error: int | None = None) -> None:
    connection.acknowledge(node, t=int(time.time()), error=error)


def _arrive(device: Device, contact: "Contact", node: Node) -> None:
    """The contact's phone gets its part of the message."""
    message_id, world = node.need_text("id"), device.phone.world
    sealed = _envelope_for(node, contact)
    if sealed is None:
        if not world.faults.has_struck("no_bundle", contact=contact.number):
            world.record.add_problem("nobody_can_read", f"the contact has no part in message {message_id}")
        _record(device, contact, node, None, decryptable=False)
        return
    unreadable = world.faults.take("unreadable", contact=contact.number)
    try:
        if unreadable is not None:
            raise DecryptFailed("the contact has lost its session")
        message = _open(contact, device, sealed)
    except AlreadyDecrypted:
        shown = contact.find_shown(device.phone.number, message_id)
        message = None if shown is None else shown.message
    except (DecryptFailed, DecodeError) as error:
        if unreadable is None:
            world.record.add_problem("undecryptable", f"message {message_id}: {error}")
        _record(device, contact, node, None, decryptable=False)
        _ask_again(device, contact, node)
        return
    _record(device, contact, node, message, decryptable=message is not None)
    if message is not None:
        contact.show(device.phone.number, message_id, message)
        contact.message_arrived(device, message_id)


def _record(
    device: Device, contact: "Contact", node: Node, message: Any, *, decryptable: bool, refused: int | None = None
) -> None:
    record, message_id = device.phone.world.record, node.need_text("id")
    record.frames.append(
        Frame(
            account=device.phone.number,
            contact=contact.number,
            id=message_id,
            text=None if message is None else text_of(message),
            message=message,
            attempt=record.next_attempt(device.phone.number, contact.number, message_id),
            recorded_at=time.time(),
            device=device.number,
            decryptable=decryptable,
            refused=refused,
        )
    )


def _ask_again(device: Device, contact: "Contact", node: Node) -> None:
    """A retry receipt with keys for a new session."""
    contact.party.forget_sessions(device.lid)
    bundle = contact.party.bundle()
    message_id, now = node.need_text("id"), int(time.time())
    retry = Node("retry", {"count": 1, "id": message_id, "t": now, "v": 1})
    keys = Node("keys", {}, bundle_content(bundle))
    attributes: dict[str, Attribute] = {
        **contact.sender_attributes("lid_only" if contact.addressing == "lid_only" else "lid"),
        "id": message_id,
        "type": "retry",
        "t": now,
    }
    device.deliver(Node("receipt", attributes, [retry, registration_node(bundle), keys]))


def _envelopes(node: Node) -> list[tuple[Jid, Node]]:
    """Each addressed device with its ciphertext."""
    found = [(to.jid("jid"), to.need("enc")) for to in (node.child("participants") or Node("")).children]
    direct = node.child("enc")
    return found if direct is None else [*found, (node.jid("to"), direct)]


def _envelope_for(node: Node, contact: "Contact") -> Node | None:
    mine = (contact.number_jid, contact.lid)
    return next((sealed for jid, sealed in _envelopes(node) if jid in mine), None)


def _open(recipient: "Contact | Phone", device: Device, sealed: Node) -> Any:
    plaintext = recipient.party.decrypt(device.lid, sealed.need_text("type"), sealed.data)
    return e2e.Message.FromString(unpad(plaintext))


def _forward(device: Device, node: Node) -> None:
    """The parts for phones and their linked devices: the sender's own, and those of another account that it writes to."""
    world = device.phone.world
    for jid, sealed in _envelopes(node):
        person = world.person(jid)
        if not isinstance(person, Phone):
            continue
        if jid.device:
            other = person.device(jid.device)
            if other is not None:
                other.deliver(_forwarded(device, person, node, sealed))
            continue
        try:
            message = _open(person, device, sealed)
        except AlreadyDecrypted:
            continue
        except (DecryptFailed, DecodeError) as error:
            world.record.add_problem("undecryptable", f"copy of {node.text('id')} for a phone: {error}")
            continue
        if person is device.phone:
            person.copies.append(node.need_text("id"))
        else:
            person.show(device.phone.number, node.need_text("id"), message)


def _forwarded(device: Device, recipient: Phone, node: Node, sealed: Node) -> Node:
    attributes: dict[str, Attribute] = {
        "from": device.lid,
        "id": node.need_text("id"),
        "type": node.text("type"),
        "t": int(time.time()),
        "notify": device.phone.announced_name,
        "addressing_mode": "lid",
    }
    if recipient is device.phone:
        attributes |= {"recipient": node.jid("to"), "peer_recipient_pn": node.attributes.get("peer_recipient_pn")}
    else:
        attributes["sender_pn"] = device.number_jid
    content = [sealed, identity] if (identity := node.child("device-identity")) is not None else [sealed]
    return Node("message", attributes, content)


def _peer_message(connection: Connection, device: Device, node: Node) -> None:
    """A device speaks to its own phone."""
    phone, message_id = device.phone, node.need_text("id")
    for jid, sealed in _envelopes(node):
        if connection.world.person(jid) is phone and jid.device == 0:
            try:
                message = _open(phone, device, sealed)
            except AlreadyDecrypted:
                continue
            except (DecryptFailed, DecodeError) as error:
                connection.world.record.add_problem("undecryptable", f"peer message {message_id}: {error}")
                continue
            phone.request_arrived(device, message_id, message)
    _acknowledge(connection, node)
