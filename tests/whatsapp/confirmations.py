"""What a device says about the stanzas that it got: receipts, acks, and retry receipts, which ask for a message again."""

import time

from tests.whatsapp.connection import Connection
from tests.whatsapp.contact import Contact
from tests.whatsapp.device import Device
from tests.whatsapp.node import Malformed, Node
from tests.whatsapp.outbound import resend
from tests.whatsapp.prekeys import bundle_of
from tests.whatsapp.record import ReceiptSeen

_SEEN_BY_PEOPLE = frozenset({"read", "read-self", "played", "played-self"})
_OF_PEER_MESSAGES = frozenset({"peer_msg", "hist_sync"})


def receipt_received(connection: Connection, node: Node) -> None:
    device = connection.device
    if device is None:
        raise Malformed("a receipt before a login")
    kind = node.text("type") or ""
    if kind == "retry":
        _send_again(device, node)
    elif kind in _SEEN_BY_PEOPLE:
        _note_read(device, node, kind)
    elif kind in _OF_PEER_MESSAGES:
        # Goes to the own number, whatever name the message came from.
        _confirm_message(device, node, str(device.phone.lid)) or _confirm_message(
            device, node, str(device.phone.number_jid)
        )
    else:
        _note_delivered(device, node, kind)
        _confirm_message(device, node, node.need_text("to"))
    connection.acknowledge(node, type=node.text("type"))


def ack_received(connection: Connection, node: Node) -> None:
    device = connection.device
    tag = node.need_text("class")
    if device is None:
        return  # of the notification that carries a pairing's second step
    kind = "" if tag == "message" else node.text("type") or ""
    error = node.text("error")
    if error is not None:
        connection.world.record.add_problem("refused_by_client", f"{tag} {node.text('id')}: {error}")
    device.waiting.confirm((tag, node.need_text("id"), kind, node.need_text("to")))


def _confirm_message(device: Device, node: Node, sender: str) -> bool:
    return device.waiting.confirm(("message", node.need_text("id"), "", sender))


def _send_again(device: Device, node: Node) -> None:
    keys = node.child("keys")
    bundle = None if keys is None else bundle_of(keys, node.need("registration").data)
    if not resend(device, node.need_text("id"), node.need_text("to"), bundle):
        device.phone.world.record.add_problem("unknown_retry", str(node))


def _note_delivered(device: Device, node: Node, kind: str) -> None:
    """An `inactive` receipt says that the message has come; apps show no second tick for it."""
    contact = device.phone.world.person(node.jid("to"))
    if isinstance(contact, Contact) and kind in ("", "inactive"):
        note = contact.ticks if kind == "" else contact.inactive_receipts
        note.append(node.need_text("id"))


def _note_read(device: Device, node: Node, kind: str) -> None:
    world = device.phone.world
    contact = world.person(node.jid("to"))
    others = [item.need_text("id") for item in (node.child("list") or Node("")).children]
    world.record.receipts.append(
        ReceiptSeen(
            account=device.phone.number,
            contact="" if contact is None else contact.number,
            ids=(node.need_text("id"), *others),
            kind=kind,
            seen_at=time.time(),
        )
    )
