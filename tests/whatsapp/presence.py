"""What a device says of itself: the account's name, and whether somebody looks at it."""

from tests.whatsapp.connection import Connection
from tests.whatsapp.node import Node
from tests.whatsapp.record import PresenceSeen


def presence_received(connection: Connection, node: Node) -> None:
    device = connection.device
    if device is None or node.text("to") is not None:  # a subscription to somebody else's presence
        return
    connection.world.record.presences.append(
        PresenceSeen(
            account=device.phone.number,
            kind=node.text("type") or "available",
            name=node.text("name") or "",
            login=connection.login,
        )
    )
    device.phone.announced_name = node.text("name") or device.phone.announced_name
