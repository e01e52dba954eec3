"""What the server says to a client after the handshake: a QR code's references, a welcome, or a failure."""

import secrets
import time
from typing import Final

from tests.whatsapp.connection import Connection
from tests.whatsapp.device import Device
from tests.whatsapp.jid import SERVER, Jid
from tests.whatsapp.node import Attribute, Node
from tests.whatsapp.phone import Phone
from tests.whatsapp.record import Login

_QR_REFS: Final = 6
_CLOSE_AFTER_S: Final = 0.3
_LOGGED_OUT: Final = 401
_REMOVED: Final = (_LOGGED_OUT, 403)
_BANNED: Final = 402
_OUTDATED: Final = 405
_BAN_S: Final = 3_600


def connection_opened(connection: Connection) -> None:
    if not connection.world.versions.lets_in(connection.payload.userAgent.appVersion.tertiary):
        _fail(connection, _OUTDATED)
        return
    if connection.payload.HasField("devicePairingData"):
        _offer_pairing(connection)
    else:
        _log_in(connection)


def _offer_pairing(connection: Connection) -> None:
    fewer = connection.world.faults.take("qr_refs")
    connection.registration = connection.payload.devicePairingData
    connection.refs = [f"2@{secrets.token_urlsafe(60)}" for _ in range(_QR_REFS if fewer is None else fewer.code)]
    refs = [Node("ref", {}, ref.encode()) for ref in connection.refs]
    attributes: dict[str, Attribute] = {
        "from": SERVER,
        "type": "set",
        "id": connection.world.new_id(),
        "xmlns": "md",
    }
    connection.send(Node("iq", attributes, [Node("pair-device", {}, refs)]))


def _log_in(connection: Connection) -> None:
    device = _known_device(connection)
    if device is None:
        _fail(connection, _LOGGED_OUT)
        return
    failure = connection.world.faults.take("login_failure", phone=device.phone.number)
    if failure is not None:
        if failure.code in _REMOVED:
            device.phone.forget(device)
        _fail(connection, failure.code, int(failure.seconds) or _BAN_S)
        return
    if device.connection is not None:
        conflict = Node("conflict", {"type": "replaced"})
        device.connection.end(Node("stream:error", {}, [conflict]), _CLOSE_AFTER_S)
    connection.device, device.connection = device, connection
    device.logins += 1
    connection.login = device.logins
    connection.logged = Login(account=device.phone.number, began_at=time.time())
    connection.world.record.logins.append(connection.logged)
    welcome: dict[str, Attribute] = {"t": int(time.time()), "lid": device.lid, "location": "loopback", "props": 27}
    connection.send(Node("success", welcome))


def _known_device(connection: Connection) -> Device | None:
    person = connection.world.person(Jid(str(connection.payload.username)))
    device = person.device(connection.payload.device) if isinstance(person, Phone) else None
    return device if device is not None and device.noise_key == connection.noise_key else None


def _fail(connection: Connection, code: int, ban_s: int = _BAN_S) -> None:
    ban: dict[str, Attribute] = {"code": 101, "expire": ban_s} if code == _BANNED else {}
    connection.end(Node("failure", {"reason": code, "location": "loopback", **ban}), _CLOSE_AFTER_S)
