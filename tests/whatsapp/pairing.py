"""Linking a device: what a phone does with a scanned QR code, and the signatures that bind the device to the account."""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Final

from tests.whatsapp import pairing_passkey
from tests.whatsapp.connection import Connection, PairingRefused
from tests.whatsapp.device import Device
from tests.whatsapp.jid import SERVER
from tests.whatsapp.keys import is_signed
from tests.whatsapp.node import Node
from tests.whatsapp.protobufs import adv

if TYPE_CHECKING:
    from tests.whatsapp.phone import Phone

_ACCOUNT_SIGNATURE: Final = b"\x06\x00"
_DEVICE_SIGNATURE: Final = b"\x06\x01"
_RESTART_REQUIRED: Final = 515
_CLOSE_AFTER_S: Final = 1.0


async def scan(phone: "Phone", qr: str) -> Device:
    """Raises PairingRefused."""
    try:
        ref, *encoded = qr.split("#", 1)[-1].split(",")
        noise_key, identity, adv_secret = (base64.b64decode(part, validate=True) for part in encoded[:3])
    except (ValueError, binascii.Error) as error:
        raise PairingRefused("this is no code of WhatsApp's") from error
    connection = next((one for one in phone.world.connections if ref in one.refs), None)
    if connection is None:
        raise PairingRefused("the code is not valid any more")
    if (connection.noise_key, connection.registration.eIdent) != (noise_key, identity):
        raise PairingRefused("the code's keys are not those of the connection")
    return await link(phone, connection, adv_secret)


async def link(phone: "Phone", connection: Connection, adv_secret: bytes) -> Device:
    """Signs the device with the account's key, hands it over, and checks what the device signed, once the account's passkey has
    been used where it has one. Raises PairingRefused."""
    if phone.passkey is not None:
        connection.refs = []
        adv_secret = await pairing_passkey.new_adv_secret(phone, connection, phone.passkey, adv_secret)
    registration = connection.registration
    number, identity = phone.next_device_number(), bytes(registration.eIdent)
    account = phone.party.identity
    details = bytes(
        adv.ADVDeviceIdentity(
            rawID=secrets.randbits(31), timestamp=int(time.time()), keyIndex=number
        ).SerializeToString()
    )
    signed = adv.ADVSignedDeviceIdentity(
        details=details,
        accountSignatureKey=account.public,
        accountSignature=account.sign(_ACCOUNT_SIGNATURE + details + identity),
    ).SerializeToString()
    sealed = adv.ADVSignedDeviceIdentityHMAC(
        details=signed, HMAC=hmac.new(adv_secret, signed, hashlib.sha256).digest()
    ).SerializeToString()
    device = Device(
        phone=phone,
        number=number,
        identity=identity,
        registration_id=int.from_bytes(registration.eRegid, "big"),
        signed_prekey=(
            int.from_bytes(registration.eSkeyID, "big"),
            bytes(registration.eSkeyVal),
            bytes(registration.eSkeySig),
        ),
        noise_key=connection.noise_key,
    )
    connection.refs = []
    reply = await connection.request(_pair_success(device, sealed))
    if reply.text("type") != "result":
        raise PairingRefused(f"the client answered {reply}")
    own = adv.ADVSignedDeviceIdentity.FromString(reply.need("pair-device-sign", "device-identity").data)
    if not is_signed(identity, _DEVICE_SIGNATURE + details + identity + account.public, own.deviceSignature):
        raise PairingRefused("the device's signature is wrong")
    phone.link(device)
    connection.end(Node("stream:error", {"code": _RESTART_REQUIRED}), _CLOSE_AFTER_S)
    return device


def _pair_success(device: Device, sealed: bytes) -> Node:
    content = [
        Node("device-identity", {}, sealed),
        Node("device", {"jid": device.number_jid, "lid": device.lid}),
        Node("platform", {"name": "android"}),
    ]
    return Node(
        "iq",
        {"from": SERVER, "type": "set", "id": device.phone.world.new_id(), "t": int(time.time())},
        [Node("pair-success", {}, content)],
    )
