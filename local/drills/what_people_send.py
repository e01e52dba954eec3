"""What a phone brings on its first day: messages of every kind as WhatsApp's apps write them, and what an employee must see of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FILE = {"mimetype": "application/octet-stream", "directPath": "/v/t62.7118-24/1?oe=6A000000", "fileLength": "2048"}
_KEY = {"remoteJID": "1@s.whatsapp.net", "fromMe": False, "ID": "3A00000000000000000A"}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """`message` is waE2E.Message in protobuf's JSON. `kind` and `line` are what an employee sees; None: nothing."""

    message: Mapping[str, Any]
    kind: str | None
    line: str = ""


def _ephemeral(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ephemeralMessage": {"message": message}}


def _text(text: str) -> Mapping[str, Any]:
    return {"conversation": text}


EVERY_KIND: tuple[Sent, ...] = (
    Sent(message=_text("Good morning"), kind="text", line="Good morning"),
    Sent(
        message={"extendedTextMessage": {"text": "see https://example.com"}},
        kind="text",
        line="see https://example.com",
    ),
    Sent(message=_ephemeral(_text("gone in a week")), kind="text", line="gone in a week"),
    Sent(message={"imageMessage": _FILE}, kind="image", line="Photo"),
    Sent(message={"imageMessage": {**_FILE, "caption": "our house"}}, kind="image", line="Photo: our house"),
    Sent(message=_ephemeral({"imageMessage": _FILE}), kind="image", line="Photo"),
    Sent(message={"associatedChildMessage": {"message": {"imageMessage": _FILE}}}, kind="image", line="Photo"),
    Sent(message={"videoMessage": {**_FILE, "seconds": 75}}, kind="video", line="Video, 1:15"),
    Sent(message={"videoMessage": {**_FILE, "gifPlayback": True}}, kind="gif", line="GIF"),
    Sent(message={"ptvMessage": {**_FILE, "seconds": 5}}, kind="videoNote", line="Video message, 0:05"),
    Sent(message={"audioMessage": {**_FILE, "seconds": 14, "PTT": True}}, kind="voice", line="Voice message, 0:14"),
    Sent(message={"audioMessage": {**_FILE, "seconds": 200}}, kind="audio", line="Audio, 3:20"),
    Sent(message={"documentMessage": {**_FILE, "fileName": "offer.pdf"}}, kind="document", line="Document: offer.pdf"),
    Sent(
        message={"documentWithCaptionMessage": {"message": {"documentMessage": {**_FILE, "caption": "the offer"}}}},
        kind="document",
        line="Document: the offer",
    ),
    Sent(message={"stickerMessage": _FILE}, kind="sticker", line="Sticker"),
    Sent(message={"lottieStickerMessage": {"message": {"stickerMessage": _FILE}}}, kind="sticker", line="Sticker"),
    Sent(message={"stickerPackMessage": {"name": "Cats"}}, kind="stickerPack", line="Sticker pack: Cats"),
    Sent(
        message={"locationMessage": {"degreesLatitude": 44.4, "degreesLongitude": 26.1, "name": "Shop"}},
        kind="location",
        line="Location: Shop",
    ),
    Sent(
        message={"liveLocationMessage": {"degreesLatitude": 44.4, "degreesLongitude": 26.1}},
        kind="location",
        line="Live location",
    ),
    Sent(
        message={"contactMessage": {"displayName": "Ion", "vcard": "BEGIN:VCARD\nEND:VCARD"}},
        kind="contacts",
        line="Contact: Ion",
    ),
    Sent(
        message={"contactsArrayMessage": {"contacts": [{"displayName": "Ion"}, {"displayName": "Ana"}]}},
        kind="contacts",
        line="2 contacts",
    ),
    Sent(
        message={
            "pollCreationMessageV3": {"name": "When?", "options": [{"optionName": "Now"}, {"optionName": "Later"}]}
        },
        kind="poll",
        line="Poll: When?",
    ),
    Sent(message={"eventMessage": {"name": "Opening"}}, kind="event", line="Event: Opening"),
    Sent(
        message={"viewOnceMessageV2": {"message": {"imageMessage": {**_FILE, "caption": "secret"}}}},
        kind="viewOnce",
        line="View-once message: open it on the phone",
    ),
    Sent(
        message={"audioMessage": {**_FILE, "viewOnce": True}},
        kind="viewOnce",
        line="View-once message: open it on the phone",
    ),
    Sent(
        message={"groupInviteMessage": {"groupName": "Neighbours"}},
        kind="groupInvite",
        line="Invitation to a group: Neighbours",
    ),
    Sent(
        message={"newsletterAdminInviteMessage": {"newsletterName": "News", "caption": "help us"}},
        kind="channelInvite",
        line="Invitation to a channel: News",
    ),
    Sent(message={"requestPhoneNumberMessage": {}}, kind="phoneNumberRequest", line="Request for the phone number"),
    Sent(message={"productMessage": {"product": {"title": "Chair"}}}, kind="product", line="Product: Chair"),
    Sent(message={"orderMessage": {"orderTitle": "Two chairs"}}, kind="order", line="Order: Two chairs"),
    Sent(
        message={"requestPaymentMessage": {"noteMessage": {"conversation": "for the chairs"}}},
        kind="payment",
        line="Payment: for the chairs",
    ),
    Sent(
        message={"templateMessage": {"hydratedTemplate": {"hydratedContentText": "Your parcel is here"}}},
        kind="text",
        line="Your parcel is here",
    ),
    Sent(message={"buttonsResponseMessage": {"selectedDisplayText": "Yes"}}, kind="text", line="Yes"),
    Sent(message={"listResponseMessage": {"title": "Tomorrow"}}, kind="text", line="Tomorrow"),
    Sent(
        message={"placeholderMessage": {"type": "MASK_LINKED_DEVICES"}},
        kind="hidden",
        line="Message that only the phone shows",
    ),
    Sent(message={"reactionMessage": {"key": _KEY, "text": "👍"}}, kind="reaction", line="Reacted: 👍"),
    Sent(
        message={
            "editedMessage": {
                "message": {
                    "protocolMessage": {
                        "key": _KEY,
                        "type": "MESSAGE_EDIT",
                        "editedMessage": {"conversation": "Good day"},
                    }
                }
            }
        },
        kind="edit",
        line="Edited: Good day",
    ),
    Sent(message={"protocolMessage": {"key": _KEY, "type": "REVOKE"}}, kind="deletion", line="Deleted a message"),
    Sent(
        message={"newsletterAdminInviteMessage": {"newsletterName": "News"}},
        kind="channelInvite",
        line="Invitation to a channel: News",
    ),
    Sent(message={"requestPhoneNumberMessage": {}}, kind="phoneNumberRequest", line="Request for the phone number"),
    Sent(message={"musicMessage": {}}, kind="music", line="Music"),
    Sent(message={"callLogMesssage": {"isVideo": True}}, kind="call", line="Call"),
)

NOT_SHOWN: tuple[Sent, ...] = (
    Sent(message={}, kind=None),
    Sent(message={"messageContextInfo": {"messageSecret": "c2VjcmV0"}}, kind=None),
    Sent(message={"protocolMessage": {"type": "EPHEMERAL_SETTING", "ephemeralExpiration": 604800}}, kind=None),
    Sent(message={"reactionMessage": {"key": _KEY, "text": ""}}, kind=None),
    Sent(message={"senderKeyDistributionMessage": {"groupID": "1@g.us"}}, kind=None),
    Sent(message={"pinInChatMessage": {"key": _KEY, "type": "PIN_FOR_ALL"}}, kind=None),
)
