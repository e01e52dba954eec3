"""Pairing codes as private/state holds them: shown for as long as they are good, then erased."""

from datetime import UTC, datetime
from typing import Any

import segno

from connector.contract import engine_pb2 as pb

_QR_SCALE = 8
"""Pixels a module: some 500 pixels wide, so that a phone's camera reads it off a screen."""
_QR_BORDER = 4
"""The quiet zone that the standard asks for."""


def qr_data_url(code: str) -> str:
    """The QR code as a PNG in a data: URL."""
    return str(segno.make_qr(code, error="l").png_data_uri(scale=_QR_SCALE, border=_QR_BORDER))


def expires_at(code: pb.PairingCode) -> datetime:
    return datetime.fromtimestamp(code.expires_at_unix_ms / 1000, UTC)


def private_state(code: pb.PairingCode, now: datetime) -> dict[str, Any]:
    """The fields of private/state while this code is shown."""
    is_qr = code.WhichOneof("code") == "qr"
    return {
        "qrCodeDataUrl": qr_data_url(code.qr) if is_qr else None,
        "pairingCode": None if is_qr else code.phone_code,
        "qrGeneratedAt": now,
        "qrExpiresAt": expires_at(code),
    }
