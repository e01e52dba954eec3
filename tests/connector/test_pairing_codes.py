"""Pairing codes as a super-admin's client shows them."""

from datetime import UTC, datetime

from connector.contract import engine_pb2 as pb
from connector.pairing import private_state, qr_data_url
from tests.connector.stage import read_qr

NOW = datetime(2026, 3, 1, tzinfo=UTC)
EXPIRES = datetime(2026, 3, 1, 0, 0, 20, tzinfo=UTC)
EXPIRES_MS = int(EXPIRES.timestamp() * 1000)
REAL_QR = "https://wa.me/settings/linked_devices#2@" + "/".join(["Zm9vYmFyYmF6" * 5] * 4) + ",1"


def test_a_camera_reads_the_qr_code_off_its_picture() -> None:
    assert read_qr(qr_data_url(REAL_QR)) == REAL_QR


def test_a_qr_code_stands_without_a_phone_code() -> None:
    state = private_state(pb.PairingCode(qr=REAL_QR, expires_at_unix_ms=EXPIRES_MS), NOW)
    assert state["qrCodeDataUrl"].startswith("data:image/png;base64,")
    assert (state["pairingCode"], state["qrGeneratedAt"], state["qrExpiresAt"]) == (None, NOW, EXPIRES)


def test_a_phone_code_stands_without_a_qr_code() -> None:
    state = private_state(pb.PairingCode(phone_code="ABCD-1234", expires_at_unix_ms=EXPIRES_MS), NOW)
    assert (state["qrCodeDataUrl"], state["pairingCode"], state["qrExpiresAt"]) == (None, "ABCD-1234", EXPIRES)
