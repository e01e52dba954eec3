"""The server's store of public keys: devices fill it, whoever wants to write to them takes from it."""

from typing import TYPE_CHECKING

from tests.whatsapp.connection import Connection
from tests.whatsapp.device import Device
from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Malformed, Node
from tests.whatsapp.party import Bundle, OneTimeKey
from tests.whatsapp.phone import Phone

if TYPE_CHECKING:
    from tests.whatsapp.world import World


def answer(connection: Connection, node: Node) -> list[Node]:
    device = connection.device
    if device is None:
        raise Malformed("keys before a login")
    if node.text("type") == "set":
        _store(device, node)
        return []
    if node.child("count") is not None:
        return [Node("count", {"value": len(device.prekeys)})]
    users = node.need("key").children
    return [Node("list", {}, [_bundle_node(connection.world, user.jid("jid")) for user in users])]


def bundle_of(keys: Node, registration: bytes) -> Bundle:
    """The bundle that a client puts into a retry receipt."""
    signed, one_time = keys.need("skey"), keys.child("key")
    return Bundle(
        registration_id=int.from_bytes(registration, "big"),
        identity=keys.need("identity").data,
        signed_id=_number(signed),
        signed_public=signed.need("value").data,
        signed_signature=signed.need("signature").data,
        one_time=None if one_time is None else OneTimeKey(id=_number(one_time), public=one_time.need("value").data),
    )


def bundle_content(bundle: Bundle) -> list[Node]:
    """As clients read it, but for the registration id. All ids have three bytes."""
    signed = [
        Node("id", {}, bundle.signed_id.to_bytes(3, "big")),
        Node("value", {}, bundle.signed_public),
        Node("signature", {}, bundle.signed_signature),
    ]
    content = [Node("type", {}, b"\x05"), Node("identity", {}, bundle.identity), Node("skey", {}, signed)]
    if bundle.one_time is not None:
        key = [Node("id", {}, bundle.one_time.id.to_bytes(3, "big")), Node("value", {}, bundle.one_time.public)]
        content.append(Node("key", {}, key))
    return content


def registration_node(bundle: Bundle) -> Node:
    return Node("registration", {}, bundle.registration_id.to_bytes(4, "big"))


def _store(device: Device, node: Node) -> None:
    for key in node.need("list").children:
        device.prekeys[_number(key)] = key.need("value").data
    signed = node.need("skey")
    device.signed_prekey = (_number(signed), signed.need("value").data, signed.need("signature").data)


def _bundle_node(world: "World", jid: Jid) -> Node:
    bundle = _take_bundle(world, jid)
    if bundle is None:
        return Node("user", {"jid": jid}, [Node("error", {"code": 404, "text": "item-not-found"})])
    return Node("user", {"jid": jid}, [registration_node(bundle), *bundle_content(bundle)])


def _take_bundle(world: "World", jid: Jid) -> Bundle | None:
    person = world.person(jid)
    if person is None or world.faults.take("no_bundle", contact=person.number):
        return None
    if jid.device == 0:
        return person.party.bundle()
    device = person.device(jid.device) if isinstance(person, Phone) else None
    return None if device is None else device.take_bundle()


def _number(key: Node) -> int:
    return int.from_bytes(key.need("id").data, "big")
