"""A row that Firestore cannot hold keeps what it can, and says what it left out."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from connector.events import WalRow
from connector.reduction import DOCUMENT_LIMIT_BYTES, fitting, payload_bytes, reductions
from core.ids import EventId, WaMessageKey


def row(**payload: Any) -> WalRow:
    time = datetime(2026, 3, 1, tzinfo=UTC)
    whole = {"kind": "text", "text": "hello", "fromMe": False, "timestampS": 5, "wire": b"wire"} | payload
    return WalRow(
        event_id=EventId("a_b_c"),
        key=WaMessageKey("c"),
        received_at=time,
        timestamp=time,
        document={"chatId": "b", "payload": whole},
    )


def test_a_row_that_fits_is_left_as_it_is() -> None:
    assert fitting(row()) == row()


def test_the_wire_bytes_go_first() -> None:
    kept = fitting(row(wire=b"x" * DOCUMENT_LIMIT_BYTES)).document["payload"]
    assert (kept["text"], kept["wire"]) == ("hello", None)
    assert kept["leftOut"]["wire"]["bytes"] == DOCUMENT_LIMIT_BYTES


def test_long_values_go_when_that_is_not_enough() -> None:
    kept = fitting(row(text="x" * (DOCUMENT_LIMIT_BYTES + 1))).document["payload"]
    assert (kept["text"], kept["kind"], kept["timestampS"]) == (None, "text", 5)
    assert sorted(kept["leftOut"]) == ["text", "wire"]


def test_each_form_is_smaller_and_nothing_else_of_the_row_changes() -> None:
    whole = row(text="x" * 5000)
    forms = [whole, *reductions(whole)]
    sizes = [payload_bytes(form) for form in forms]
    assert sizes == sorted(sizes, reverse=True)
    assert all(replace(form, document=whole.document) == whole for form in forms)
