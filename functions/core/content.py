"""What a message holds: each kind's document fields, and the line that stands for the message in a list. docs/kinds.md lists the kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

UNSUPPORTED = "unsupported"
"""The kind of a message whose content this version does not know."""

MEDIA_WORDS: Mapping[str, str] = {
    "image": "Photo",
    "video": "Video",
    "gif": "GIF",
    "videoNote": "Video message",
    "audio": "Audio",
    "voice": "Voice message",
    "document": "Document",
    "sticker": "Sticker",
    "stickerPack": "Sticker pack",
}
NOTE_WORDS: Mapping[str, str] = {
    "viewOnce": "View-once message: open it on the phone",
    "hidden": "Message that only the phone shows",
    "call": "Call",
    "event": "Event",
    "music": "Music",
    "groupInvite": "Invitation to a group",
    "channelInvite": "Invitation to a channel",
    "phoneNumberRequest": "Request for the phone number",
    "product": "Product",
    "order": "Order",
    "payment": "Payment",
    "edit": "Edited",
    "deletion": "Deleted a message",
    "reaction": "Reacted",
}
_DETAILS: Mapping[str, str] = dict.fromkeys(MEDIA_WORDS, "media") | dict.fromkeys(NOTE_WORDS, "note")
"""The field of a row's payload with what a kind has to say beside its text; for other kinds the field has the kind's name."""
_STRUCTURED = frozenset({"location", "contacts", "poll"})
_WITHOUT_CONTENT = frozenset({"viewOnce"})
"""Notes whose text is never shown: nobody but the phone's owner may see it."""


@dataclass(frozen=True, kw_only=True)
class Text:
    text: str


@dataclass(frozen=True, kw_only=True)
class Media:
    """A file. All but `kind` is what its sender says; None where the sender does not say."""

    kind: str
    caption: str | None = None
    mime: str | None = None
    size: int | None = None
    duration_s: int | None = None
    file_name: str | None = None
    sha256: str | None = None
    """Of the file, in lower-case hex."""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, kw_only=True)
class Location:
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    caption: str | None = None
    is_live: bool = False


@dataclass(frozen=True, kw_only=True)
class Card:
    name: str | None
    vcard: str


@dataclass(frozen=True, kw_only=True)
class Contacts:
    cards: Sequence[Card]


@dataclass(frozen=True, kw_only=True)
class Poll:
    question: str
    options: Sequence[str]
    selectable: int
    """How many may be chosen; 0: any number."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """Content that is shown as one line. `target_id` is the WhatsApp id of the message that it is about."""

    kind: str
    text: str | None = None
    target_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unsupported:
    """`type` is the content's name in WhatsApp's protocol."""

    type: str


Content = Text | Media | Location | Contacts | Poll | Note | Unsupported


class InvalidContent(ValueError):
    """A field of a row's payload is missing or of a wrong type; the text names it."""


class UnknownKind(InvalidContent):
    """The payload's kind is one that only a newer connector writes."""


def parse(payload: Mapping[str, object]) -> Content:
    """Reads the content of a message's payload in the ingest log. Raises InvalidContent and UnknownKind."""
    kind, text = payload.get("kind"), payload.get("text")
    if not isinstance(kind, str) or not kind:
        raise InvalidContent("payload.kind must be a string that is not empty")
    if text is not None and not isinstance(text, str):
        raise InvalidContent("payload.text must be a string or null")
    if kind == "text":
        if text is None:
            raise InvalidContent("payload.text must be a string in a text")
        return Text(text=text)
    details = payload.get(_DETAILS.get(kind, kind))
    details = details if isinstance(details, Mapping) else {}
    if kind in MEDIA_WORDS:
        return _media(kind, text, details)
    if kind in NOTE_WORDS:
        return Note(kind=kind, text=None if kind in _WITHOUT_CONTENT else text, target_id=_text(details, "targetId"))
    if (structured := _structured(kind, text, details)) is not None:
        return structured
    if kind == UNSUPPORTED:
        return Unsupported(type=_text(payload, "unsupportedType") or "unknown")
    if kind in _STRUCTURED or kind.endswith("Message"):  # an older connector wrote the protocol's own name as the kind
        return Unsupported(type=kind)
    raise UnknownKind("a message of a kind that these functions do not know")


def kind_of(content: Content) -> str:
    match content:
        case Text():
            return "text"
        case Media() | Note():
            return content.kind
        case Location():
            return "location"
        case Contacts():
            return "contacts"
        case Poll():
            return "poll"
        case Unsupported():
            return UNSUPPORTED
        case _:
            assert_never(content)


def text_of(content: Content) -> str | None:
    """What the sender wrote: the text, or a caption."""
    match content:
        case Text() | Note():
            return content.text
        case Media() | Location():
            return content.caption
        case Poll():
            return content.question
        case Contacts() | Unsupported():
            return None
        case _:
            assert_never(content)


def line(content: Content) -> str:
    """The line that stands for the message in a list of threads; a text is shortened by whoever shows it."""
    match content:
        case Text():
            return content.text
        case Media():
            return _media_line(content)
        case Location():
            return _with(_live(content), content.name or content.caption or content.address)
        case Contacts():
            return _contacts_line(content)
        case Poll():
            return _with("Poll", content.question)
        case Note():
            return _with(NOTE_WORDS[content.kind], content.text)
        case Unsupported():
            return f"Unsupported message ({content.type})"
        case _:
            assert_never(content)


def fields(content: Content) -> dict[str, object]:
    """The message document's fields: `kind`, `text`, and one more where the kind has more to say."""
    common: dict[str, object] = {"kind": kind_of(content), "text": text_of(content)}
    match content:
        case Media():
            return common | {"media": _media_fields(content)}
        case Location():
            return common | {"location": _location_fields(content)}
        case Contacts():
            return common | {"contacts": [{"name": card.name, "vcard": card.vcard} for card in content.cards]}
        case Poll():
            return common | {"poll": {"options": list(content.options), "selectable": content.selectable}}
        case Note() if content.target_id is not None:
            return common | {"targetId": content.target_id}
        case Unsupported():
            return common | {"unsupportedType": content.type}
        case _:
            return common


def _media_line(media: Media) -> str:
    word = MEDIA_WORDS[media.kind]
    if media.duration_s is not None and media.kind in ("voice", "audio", "video", "videoNote"):
        word = f"{word}, {media.duration_s // 60}:{media.duration_s % 60:02}"
    return _with(word, media.caption or (media.file_name if media.kind in ("document", "stickerPack") else None))


def _contacts_line(contacts: Contacts) -> str:
    if len(contacts.cards) == 1:
        return _with("Contact", contacts.cards[0].name)
    return f"{len(contacts.cards)} contacts"


def _live(location: Location) -> str:
    return "Live location" if location.is_live else "Location"


def _with(word: str, more: str | None) -> str:
    return f"{word}: {more}" if more else word


def _media_fields(media: Media) -> dict[str, object]:
    """As the schema names them. `url` is null: no file has been fetched."""
    return {
        "type": media.kind,
        "url": None,
        "mime": media.mime,
        "size": media.size,
        "durationSec": media.duration_s,
        "fileName": media.file_name,
        "sha256": media.sha256,
        "width": media.width,
        "height": media.height,
    }


def _location_fields(location: Location) -> dict[str, object]:
    return {
        "latitude": location.latitude,
        "longitude": location.longitude,
        "name": location.name,
        "address": location.address,
        "isLive": location.is_live,
    }


def _media(kind: str, caption: str | None, media: Mapping[str, object]) -> Media:
    return Media(
        kind=kind,
        caption=caption or None,
        mime=_text(media, "mime"),
        size=_number(media, "size"),
        duration_s=_number(media, "durationSec"),
        file_name=_text(media, "fileName"),
        sha256=_text(media, "sha256"),
        width=_number(media, "width"),
        height=_number(media, "height"),
    )


def _structured(kind: str, text: str | None, details: Mapping[str, object]) -> Content | None:
    """None for another kind, and for details that are missing: a row that was too large for a document may have left them out."""
    if kind == "location":
        return _location(text, details)
    if kind == "contacts":
        return _contacts(details)
    return _poll(details) if kind == "poll" else None


def _location(caption: str | None, location: Mapping[str, object]) -> Location | None:
    latitude, longitude = location.get("latitude"), location.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    return Location(
        latitude=latitude,
        longitude=longitude,
        name=_text(location, "name"),
        address=_text(location, "address"),
        caption=caption or None,
        is_live=location.get("isLive") is True,
    )


def _contacts(contacts: Mapping[str, object]) -> Contacts | None:
    cards = contacts.get("cards")
    if not isinstance(cards, list):
        return None
    return Contacts(
        cards=[
            Card(name=_text(card, "name"), vcard=_text(card, "vcard") or "")
            for card in cards
            if isinstance(card, Mapping)
        ]
    )


def _poll(poll: Mapping[str, object]) -> Poll | None:
    options = poll.get("options")
    if not isinstance(options, list):
        return None
    return Poll(
        question=_text(poll, "question") or "",
        options=[option for option in options if isinstance(option, str)],
        selectable=_number(poll, "selectable") or 0,
    )


def _text(values: Mapping[str, object], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def _number(values: Mapping[str, object], name: str) -> int | None:
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
