"""What private/state shows about pairing: codes while they are valid, and about the link (authMeta)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import segno

from connector.contract import engine_pb2 as pb

_QR_SCALE = 8
"""Pixels a module: some 500 pixels wide, so that a phone's camera reads it off a screen."""
_QR_BORDER = 4
"""The quiet zone that the standard asks for."""


PASSKEY_EXPIRED = "passkey_expired"
"""The engine's word for a passkey's request that nobody has answered in time."""

NO_LINK: Mapping[str, Any] = {"authMeta": None}
"""The fields while no device is linked."""


def linked_fields(now: datetime) -> dict[str, Any]:
    """The fields after a device has just been linked. The others follow when it is connected."""
    return {"authMeta": {"pairedAt": now}}


def connected_fields(device: pb.LinkedDevice, engine_version: str) -> dict[str, Any]:
    """What a super-admin may see of a link. Merged into private/state, so that `pairedAt` stays. Contains no secret."""
    return {
        "authMeta": {
            "platform": device.platform or None,
            "deviceNumber": device.number or None,
            "engineVersion": engine_version or None,
        }
    }


_WITHOUT_PASSKEY = "if it fails again, remove the passkey on the phone (WhatsApp, Settings, Account, Passkeys), which helps some accounts"
_REFUSALS: Mapping[str, str] = {
    "passkey_refused": f"WhatsApp refused the passkey's answer; pair again, and sign with this account's passkey; {_WITHOUT_PASSKEY}",
    "passkey_cut_off": f"WhatsApp ended the pairing before the passkey's answer was taken; pair again and sign sooner; {_WITHOUT_PASSKEY}",
    "passkey_unconfirmed": "WhatsApp took the passkey's answer and did not go on; pair again, and keep WhatsApp open on the phone meanwhile",
    "passkey_code_wanted": "WhatsApp wants a code compared on the phone, since the passkey's answer came late; pair again and sign sooner",
    "passkey_failed": f"WhatsApp's passkey step failed; pair again; {_WITHOUT_PASSKEY}",
    "no_multidevice": "the phone's WhatsApp is too old to link devices; update WhatsApp on the phone, then pair again",
    "code_refused": "WhatsApp gave no code for this number; check the number, or pair by QR",
}


def refusal_in_words(reason: str) -> str:
    """Why a pairing has failed, and what to do where that is known. `reason` is the engine's word."""
    return _REFUSALS.get(reason) or f"WhatsApp refused: {reason or 'no reason given'}"


def expiry_in_words(reason: str) -> str:
    """What was not done in time. `reason` is the engine's word."""
    if reason == PASSKEY_EXPIRED:
        return f"nobody signed with the passkey in time; pair again; {_WITHOUT_PASSKEY}"
    return "nobody used the code in time"


def qr_data_url(code: str) -> str:
    """The QR code as a PNG in a data: URL."""
    return str(segno.make_qr(code, error="l").png_data_uri(scale=_QR_SCALE, border=_QR_BORDER))


def expires_at(code: pb.PairingCode | pb.PasskeyRequest) -> datetime:
    return datetime.fromtimestamp(code.expires_at_unix_ms / 1000, UTC)


def private_state(code: pb.PairingCode, now: datetime) -> dict[str, Any]:
    """The fields of private/state while this code is shown."""
    is_qr = code.WhichOneof("code") == "qr"
    return {
        "qrCodeDataUrl": qr_data_url(code.qr) if is_qr else None,
        "pairingCode": None if is_qr else code.phone_code,
        "qrGeneratedAt": now,
        "qrExpiresAt": expires_at(code),
        "passkey": None,
    }
