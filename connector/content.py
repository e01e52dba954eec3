"""What the content of an engine's message becomes in the payload of its row: plain values, from which the message can be made again."""

from typing import Any

from connector import metrics
from connector.contract import engine_pb2 as pb
from core.content import UNSUPPORTED

_MEDIA_KINDS = {
    pb.Media.IMAGE: "image",
    pb.Media.VIDEO: "video",
    pb.Media.GIF: "gif",
    pb.Media.VIDEO_NOTE: "videoNote",
    pb.Media.AUDIO: "audio",
    pb.Media.VOICE: "voice",
    pb.Media.DOCUMENT: "document",
    pb.Media.STICKER: "sticker",
    pb.Media.STICKER_PACK: "stickerPack",
}


def content_fields(message: pb.MessageReceived) -> dict[str, Any]:
    """`kind` (docs/kinds.md), `text` (what the sender wrote, or None) and, for some kinds, a map with the rest."""
    match message.WhichOneof("content"):
        case "text":
            return {"kind": "text", "text": message.text}
        case "media" if message.media.type in _MEDIA_KINDS:
            return {
                "kind": _MEDIA_KINDS[message.media.type],
                "text": message.media.caption or None,
                "media": _media(message.media),
            }
        case "location":
            return {
                "kind": "location",
                "text": message.location.caption or None,
                "location": _location(message.location),
            }
        case "contacts":
            cards = [{"name": card.name or None, "vcard": card.vcard} for card in message.contacts.cards]
            return {"kind": "contacts", "text": None, "contacts": {"cards": cards}}
        case "poll":
            return {"kind": "poll", "text": None, "poll": _poll(message.poll)}
        case "note":
            note = {"note": {"targetId": message.note.target_id}} if message.note.target_id else {}
            return {"kind": message.note.kind, "text": message.note.text or None, **note}
        case "unsupported" if message.unsupported == "call":  # an engine of contract version 2
            return {"kind": "call", "text": None}
        case _:
            kind = message.unsupported or "unknown"
            metrics.UNSUPPORTED.labels(kind).inc()
            return {"kind": UNSUPPORTED, "text": None, "unsupportedType": kind}


def context_fields(message: pb.MessageReceived) -> dict[str, Any]:
    """`context`, where the message answers another, mentions somebody, was forwarded or disappears."""
    if not message.HasField("context"):
        return {}
    context = message.context
    said = {
        "quotedId": context.quoted_id,
        "quotedSender": context.quoted_sender.jid,
        "quotedChat": context.quoted_chat_jid,
        "mentions": [person.jid for person in context.mentions],
        "mentionsEveryone": context.mentions_everyone,
        "isForwarded": context.is_forwarded,
        "expirationS": context.expiration_s,
        "expirationSetAtS": context.expiration_set_at_unix_s,
    }
    said = {name: value for name, value in said.items() if value}
    return {"context": said} if said else {}


def _media(media: pb.Media) -> dict[str, Any]:
    """With what is needed to fetch and decrypt the file: the ingest log is read by servers only."""
    return {
        "mime": media.mime_type or None,
        "fileName": media.file_name or None,
        "size": media.size_bytes or None,
        "durationSec": media.seconds or None,
        "width": media.width or None,
        "height": media.height or None,
        "isAnimated": media.is_animated,
        "sha256": media.sha256.hex() or None,
        "encryptedSha256": media.encrypted_sha256,
        "directPath": media.direct_path or None,
        "mediaKey": media.media_key,
        "thumbnail": media.thumbnail,
        "waveform": media.waveform,
    }


def _location(location: pb.Location) -> dict[str, Any]:
    return {
        "latitude": location.latitude,
        "longitude": location.longitude,
        "name": location.name or None,
        "address": location.address or None,
        "isLive": location.is_live,
    }


def _poll(poll: pb.Poll) -> dict[str, Any]:
    return {"question": poll.question, "options": list(poll.options), "selectable": poll.selectable}
