"""Each kind's line in a list of threads and its document's fields; odd payloads are shown all the same."""

from typing import Any

import pytest

from core import content
from core.content import InvalidContent, UnknownKind


def parsed(kind: str, text: str | None = None, **details: Any) -> content.Content:
    return content.parse({"kind": kind, "text": text, "fromMe": False} | details)


@pytest.mark.parametrize(
    ("kind", "text", "details", "line"),
    [
        ("text", "hello", {}, "hello"),
        ("image", None, {"media": {"mime": "image/jpeg"}}, "Photo"),
        ("image", "our house", {"media": {}}, "Photo: our house"),
        ("voice", None, {"media": {"durationSec": 14}}, "Voice message, 0:14"),
        ("audio", None, {"media": {"durationSec": 200}}, "Audio, 3:20"),
        ("videoNote", None, {"media": {"durationSec": 5}}, "Video message, 0:05"),
        ("gif", None, {"media": {"durationSec": 3}}, "GIF"),
        ("document", None, {"media": {"fileName": "offer.pdf"}}, "Document: offer.pdf"),
        ("document", "the offer", {"media": {"fileName": "offer.pdf"}}, "Document: the offer"),
        ("sticker", None, {"media": {}}, "Sticker"),
        ("location", None, {"location": {"latitude": 44.4, "longitude": 26.1}}, "Location"),
        ("location", None, {"location": {"latitude": 44, "longitude": 26, "name": "Shop"}}, "Location: Shop"),
        ("location", None, {"location": {"latitude": 44, "longitude": 26, "isLive": True}}, "Live location"),
        ("contacts", None, {"contacts": {"cards": [{"name": "Ana", "vcard": "BEGIN:VCARD"}]}}, "Contact: Ana"),
        ("contacts", None, {"contacts": {"cards": [{"vcard": "x"}, {"vcard": "y"}]}}, "2 contacts"),
        ("poll", None, {"poll": {"question": "When?", "options": ["Now", "Later"]}}, "Poll: When?"),
        ("viewOnce", None, {}, "View-once message: open it on the phone"),
        ("call", None, {}, "Call"),
        ("edit", "better", {"note": {"targetId": "3A01"}}, "Edited: better"),
        ("deletion", None, {"note": {"targetId": "3A01"}}, "Deleted a message"),
        ("reaction", "👍", {"note": {"targetId": "3A01"}}, "Reacted: 👍"),
        ("unsupported", None, {"unsupportedType": "futureMessage"}, "Unsupported message (futureMessage)"),
    ],
)
def test_each_kind_has_its_line(kind: str, text: str | None, details: dict[str, Any], line: str) -> None:
    read = parsed(kind, text, **details)
    assert content.line(read) == line
    assert content.fields(read)["kind"] == kind


def test_media_have_the_fields_of_the_schema_and_no_key() -> None:
    media = {
        "mime": "audio/ogg",
        "size": 2048,
        "durationSec": 14,
        "sha256": "ab" * 32,
        "mediaKey": b"k",
        "directPath": "/v",
    }
    assert content.fields(parsed("voice", media=media)) == {
        "kind": "voice",
        "text": None,
        "media": {
            "type": "voice",
            "url": None,
            "mime": "audio/ogg",
            "size": 2048,
            "durationSec": 14,
            "fileName": None,
            "sha256": "ab" * 32,
            "width": None,
            "height": None,
        },
    }


def test_what_may_be_seen_once_has_no_text_whatever_its_row_says() -> None:
    assert content.fields(parsed("viewOnce", "secret")) == {"kind": "viewOnce", "text": None}


def test_an_edit_names_its_message() -> None:
    assert content.fields(parsed("edit", "better", note={"targetId": "3A01"}))["targetId"] == "3A01"


def test_a_kind_that_only_a_newer_connector_writes_is_told_apart() -> None:
    with pytest.raises(UnknownKind, match="do not know"):
        parsed("hologram")


@pytest.mark.parametrize("kind", ["imageMessage", "location", "contacts", "poll"])
def test_an_older_connectors_kind_and_one_that_lacks_its_details_are_shown_as_unsupported(kind: str) -> None:
    assert content.fields(parsed(kind)) == {"kind": "unsupported", "text": None, "unsupportedType": kind}


def test_odd_values_of_a_file_are_left_out() -> None:
    media = {"mime": 5, "size": "large", "durationSec": True, "fileName": ""}
    fields: Any = content.fields(parsed("image", media=media))
    assert [fields["media"][name] for name in ("mime", "size", "durationSec", "fileName")] == [None] * 4


@pytest.mark.parametrize(
    "payload", [{}, {"kind": None}, {"kind": ""}, {"kind": "text", "text": None}, {"kind": "image", "text": 5}]
)
def test_a_payload_without_kind_or_with_a_text_that_is_none_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidContent, match=r"payload\.(kind|text)"):
        content.parse(payload)
