"""The requests (iq) of a client, by namespace. One that this server does not know is answered as an error, and is a problem."""

import asyncio
from collections.abc import Callable
from typing import Final

from tests.whatsapp import media_host, pairing_code, pairing_passkey, prekeys, usync
from tests.whatsapp.connection import Connection, RequestRefused
from tests.whatsapp.faults import Fault
from tests.whatsapp.groups import group_query
from tests.whatsapp.jid import SERVER
from tests.whatsapp.node import Attribute, Malformed, Node

_NOT_IMPLEMENTED: Final = 501
_PRIVACY: Final = ("readreceipts", "last", "status", "profile", "online", "groupadd")


class UnknownRequest(Exception):
    """Nothing here answers this request."""


def request_received(connection: Connection, node: Node) -> None:
    if node.text("type") in ("result", "error"):
        connection.answered(node)
        return
    namespace = node.text("xmlns") or ""
    if _standing(connection, "mute", namespace) is not None:
        return
    reply: dict[str, Attribute] = {"from": SERVER, "id": node.need_text("id"), "type": "result"}
    try:
        answer = _ANSWERS[namespace](connection, node) if namespace in _ANSWERS else _unknown(connection, node)
    except RequestRefused as refused:
        error = Node("error", {"code": refused.code, "text": str(refused)})
        connection.send(Node("iq", {**reply, "type": "error"}, [error]))
        return
    except UnknownRequest:
        connection.world.record.add_problem("unknown_request", str(node))
        error = Node("error", {"code": _NOT_IMPLEMENTED, "text": "feature-not-implemented"})
        connection.send(Node("iq", {**reply, "type": "error"}, [error]))
        return
    late = _standing(connection, "late", namespace)
    if late is not None:
        asyncio.get_running_loop().call_later(late.seconds, connection.send, Node("iq", reply, answer or None))
        return
    connection.send(Node("iq", reply, answer or None))
    if namespace == "passive" and connection.is_active and not connection.is_flushed:
        _become_active(connection)


def _standing(connection: Connection, fault: str, namespace: str) -> Fault | None:
    phone = None if connection.device is None else connection.device.phone.number
    kind = "ping" if namespace == "w:p" else namespace
    faults = connection.world.faults
    return faults.take(f"{fault}:{kind}", phone=phone) or faults.take(f"{fault}:*", phone=phone)


def _become_active(connection: Connection) -> None:
    device = connection.device
    if device is not None and not device.is_greeted:
        device.is_greeted = True
        device.phone.greet(device)
    connection.start_flush()


def _unknown(_: Connection, node: Node) -> list[Node]:
    raise UnknownRequest(node.text("xmlns"))


def _ping(connection: Connection, _: Node) -> list[Node]:
    if connection.device is not None:
        connection.device.pings += 1
    return []


def _passive(connection: Connection, node: Node) -> list[Node]:
    connection.is_active = node.child("active") is not None
    return []


def _privacy(_: Connection, node: Node) -> list[Node]:
    if node.text("type") == "set":
        return []
    categories = [Node("category", {"name": name, "value": "all"}) for name in _PRIVACY]
    return [Node("privacy", {}, categories)]


def _multi_device(connection: Connection, node: Node) -> list[Node]:
    if node.child("link_code_companion_reg") is not None:
        return pairing_code.answer(connection, node)
    if (answer := pairing_passkey.answer(connection, node)) is not None:
        return answer
    if node.child("remove-companion-device") is None:
        return _unknown(connection, node)
    if connection.device is None:
        raise Malformed("a logout before a login")
    connection.device.phone.forget(connection.device)
    return []


def _blocklist(connection: Connection, node: Node) -> list[Node]:
    return [Node("list")] if node.text("type") == "get" else _unknown(connection, node)


def _app_state(connection: Connection, node: Node) -> list[Node]:
    if connection.device is None:
        raise Malformed("app state before a login")
    return [connection.device.phone.app_state.answer(node)]


def _media(_: Connection, node: Node) -> list[Node]:
    if node.child("media_conn") is None:
        raise UnknownRequest(node.text("xmlns"))
    attributes: dict[str, Attribute] = {"auth": "media", "ttl": 300, "auth_ttl": 21_600, "max_buckets": 12}
    return [Node("media_conn", attributes, [Node("host", {"hostname": media_host.HOST})])]


def _nothing(_: Connection, __: Node) -> list[Node]:
    return []


_ANSWERS: Final[dict[str, Callable[[Connection, Node], list[Node]]]] = {
    "blocklist": _blocklist,
    "encrypt": prekeys.answer,
    "md": _multi_device,
    "passive": _passive,
    "privacy": _privacy,
    "urn:xmpp:whatsapp:dirty": _nothing,
    "urn:xmpp:whatsapp:push": _nothing,
    "usync": usync.answer,
    "w:g2": group_query,
    "w:m": _media,
    "w:p": _ping,
    "w:sync:app:state": _app_state,
}
