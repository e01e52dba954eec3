"""Answers about people: whether a number is on WhatsApp, its LID, its devices."""

from typing import TYPE_CHECKING

from tests.whatsapp.connection import Connection
from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.phone import Phone

if TYPE_CHECKING:
    from tests.whatsapp.contact import Contact
    from tests.whatsapp.world import World


def answer(connection: Connection, node: Node) -> list[Node]:
    query = node.need("usync")
    wanted = [child.tag for child in query.need("query").children]
    asked = query.need("list").children
    users = [found for user in asked if (found := _user(connection.world, user, wanted)) is not None]
    attributes: dict[str, Attribute] = {
        "sid": query.text("sid"),
        "index": 0,
        "last": "true",
        "mode": query.text("mode"),
        "context": query.text("context"),
    }
    return [Node("usync", attributes, [Node("result", {}, [Node(tag) for tag in wanted]), Node("list", {}, users)])]


def _user(world: "World", asked: Node, wanted: list[str]) -> Node | None:
    by_number = asked.child("contact")
    number_query = by_number.data.decode() if by_number is not None else None
    jid = asked.jid("jid") if number_query is None else Jid(number_query.split("@")[0].removeprefix("+"))
    person = world.person(jid)
    if person is not None and not (isinstance(person, Phone) or person.is_registered):
        person = None
    attributes: dict[str, Attribute] = {"jid": jid}
    content: list[Node] = []
    if "contact" in wanted:
        if person is not None:
            attributes = {"jid": person.lid, "pn_jid": person.number_jid}
        query = None if number_query is None else number_query.encode()
        content.append(Node("contact", {"type": "out" if person is None else "in"}, query))
    elif person is None:
        return None
    if person is not None and "devices" in wanted:
        content.append(Node("devices", {}, [Node("device-list", {}, _devices(person))]))
    if person is not None and "lid" in wanted and not world.faults.take("no_lid", contact=person.number):
        content.append(Node("lid", {"val": person.lid}))
    return Node("user", attributes, content)


def _devices(person: "Contact | Phone") -> list[Node]:
    linked = [device.number for device in person.devices] if isinstance(person, Phone) else []
    return [Node("device", {"id": number, "key-index": number or None}) for number in (0, *linked)]
