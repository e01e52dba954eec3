"""The ids that last for ever: how each is made, taken apart and refused."""

import hashlib
import re
import secrets
from typing import NewType

AccountId = NewType("AccountId", str)
ChatId = NewType("ChatId", str)
"""A WhatsApp JID in its canonical form: the LID where it is known, else the phone number's; groups end in @g.us."""
ThreadId = NewType("ThreadId", str)
WaMessageKey = NewType("WaMessageKey", str)
EventId = NewType("EventId", str)
RequestId = NewType("RequestId", str)
WaMessageId = NewType("WaMessageId", str)
"""A document id in whatsapp_messages, not WhatsApp's own message id (that one is a WaMessageKey without suffix)."""
WorkerId = NewType("WorkerId", str)

FIRESTORE_ID_LIMIT_BYTES = 1500

_ACCOUNT_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_CHAT_ID = re.compile(r"[0-9]{5,32}@(s\.whatsapp\.net|lid)|[0-9-]{5,64}@g\.us")
_CLIENT_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WHATSAPP_ID = re.compile(r"[!-.0-~]{1,128}")
_HASH = re.compile(r"[0-9a-f]{64}")
_PHONE_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

_SENDER_HASH_DIGITS = 12

_NUMBER_SERVER = "@s.whatsapp.net"
_LID_SERVER = "@lid"
_HOSTED = {"hosted": "s.whatsapp.net", "hosted.lid": "lid"}
"""Servers of devices that Meta hosts for a company. The user part names the same person as on the other server."""


class InvalidId(ValueError):
    """An id that is empty, malformed, holds a slash, or passes Firestore's limit of 1,500 bytes."""


def account_id(value: object) -> AccountId:
    """Checks an account id: 1 to 64 of A-Z a-z 0-9 and the hyphen. Raises InvalidId."""
    return AccountId(_checked(value, _ACCOUNT_ID, "accountId must be 1 to 64 characters of A-Z, a-z, 0-9 and '-'"))


def new_account_id(request_key: str | None) -> AccountId:
    """An id for an account whose creator gave none. With the creator's own key, a retry of its call gets the same id."""
    if request_key is None:
        return AccountId(f"wa-{secrets.token_hex(6)}")
    return AccountId(f"wa-{hashlib.sha256(f'createAccount|{request_key}'.encode()).hexdigest()[:20]}")


def request_key(value: object) -> str:
    """Checks the key that a client chose for its call. Raises InvalidId."""
    return _checked(value, _CLIENT_MESSAGE_ID, "requestKey must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")


def chat_id(value: object) -> ChatId:
    """Checks a chat id: a WhatsApp JID of a person (number or LID) or of a group. Raises InvalidId."""
    return ChatId(_checked(value, _CHAT_ID, "chatId must be a WhatsApp JID such as 40712345678@s.whatsapp.net"))


def client_message_id(value: object) -> str:
    """Checks the id that a client chose for its message. Raises InvalidId."""
    return _checked(
        value, _CLIENT_MESSAGE_ID, "clientMessageId must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'"
    )


def document_id(value: object) -> str:
    """Checks that Firestore takes this string as a document id. Raises InvalidId."""
    if not isinstance(value, str) or not value:
        raise InvalidId("an id must be a string that is not empty")
    if "/" in value:
        raise InvalidId("an id must not hold '/'")
    if len(value.encode("utf-8", "surrogatepass")) > FIRESTORE_ID_LIMIT_BYTES:
        raise InvalidId(f"an id must not pass {FIRESTORE_ID_LIMIT_BYTES} bytes")
    return value


def thread_id(account: AccountId, chat: ChatId) -> ThreadId:
    return ThreadId(f"{account}_{chat}")


def parse_thread_id(value: object) -> tuple[AccountId, ChatId]:
    """Takes a thread id apart; an account id never holds '_', so the first one divides. Raises InvalidId."""
    account, _, chat = document_id(value).partition("_")
    return account_id(account), chat_id(chat)


def parse_event_id(event: EventId) -> tuple[str, ChatId, WaMessageKey]:
    """Account, chat and key of a row's id. Neither an account's id nor a chat's holds '_'."""
    account, chat, key = event.split("_", 2)
    return account, ChatId(chat), WaMessageKey(key)


def event_id(thread: ThreadId, key: WaMessageKey) -> EventId:
    return EventId(f"{thread}_{key}")


def wa_message_id(thread: ThreadId, key: WaMessageKey) -> WaMessageId:
    return WaMessageId(f"{thread}_{key}")


def dedupe_key(thread: ThreadId, to: str, text: str, client_message: str) -> str:
    """The hash part of a request id: lower-case hex sha256 over the UTF-8 of threadId|to|text|clientMessageId."""
    return hashlib.sha256(f"{thread}|{to}|{text}|{client_message}".encode()).hexdigest()


def request_id(thread: ThreadId, to: str, text: str, client_message: str) -> RequestId:
    return RequestId(f"{thread}_{dedupe_key(thread, to, text, client_message)}")


def checked_request_id(value: object) -> tuple[RequestId, ThreadId]:
    """Checks the form of a request id: a thread id, '_' and a hash. The answer names its thread too. Raises InvalidId."""
    thread, _, dedupe = document_id(value).rpartition("_")
    if not _HASH.fullmatch(dedupe):
        raise InvalidId("requestId must be a threadId, '_' and a lower-case hex sha256")
    checked = thread_id(*parse_thread_id(thread))
    return RequestId(f"{checked}_{dedupe}"), checked


def outbound_key(request: RequestId) -> WaMessageKey:
    """The WhatsApp message id of a request: known before the first attempt, and the same in every attempt."""
    return WaMessageKey("3EB0" + hashlib.sha256(request.encode()).hexdigest()[:18].upper())


def inbound_key(whatsapp_id: str) -> WaMessageKey:
    """The key of a contact's message in a direct chat: its suffix keeps a re-used id of ours from touching our message."""
    return WaMessageKey(_storable(whatsapp_id) + "-in")


def group_key(whatsapp_id: str, sender: str) -> WaMessageKey:
    """The key of a member's message in a group: two members may choose one id. `sender` is the member's canonical name."""
    return WaMessageKey(f"{_storable(whatsapp_id)}-{short_hash(sender)[:_SENDER_HASH_DIGITS]}-in")


def own_key(whatsapp_id: str) -> WaMessageKey:
    """The key of a message of the account itself: a request's echo, or one typed on the phone."""
    return WaMessageKey(_storable(whatsapp_id))


def receipt_key(target: WaMessageKey, value: str) -> WaMessageKey:
    """The key of a receipt in a direct chat: one row a message and value."""
    return WaMessageKey(f"{target}-receipt-{value}")


def canonical_chat(jid: str, other_name: str) -> str:
    """The one name of a person who is known by a number, a LID or both: the LID where it is known."""
    bare, other = _person(jid), _person(other_name)
    return other if _is_number(bare) and _is_lid(other) else bare


def phone_of(jid: str, other_name: str = "") -> str | None:
    """A person's number as +E.164, whichever of the two names it is. None if neither is a number, or the chat is a group."""
    found = next((name for name in (_person(jid), _person(other_name)) if _is_number(name)), None)
    phone = f"+{found.removesuffix(_NUMBER_SERVER)}" if found is not None else ""
    return phone if _PHONE_E164.fullmatch(phone) else None


def chat_of_phone(phone: str) -> ChatId:
    """The chat of a checked number under that number: its name as long as its owner's LID is not known."""
    return ChatId(f"{phone.removeprefix('+')}{_NUMBER_SERVER}")


def is_number(chat: ChatId) -> bool:
    """Whether a chat is named by a number: its owner's LID was not known."""
    return _is_number(chat)


def is_direct(chat: ChatId) -> bool:
    return chat.endswith((_NUMBER_SERVER, _LID_SERVER))


def phone_e164(value: object) -> str:
    """Checks a phone number: '+', then 7 to 15 digits that do not begin with 0. Raises InvalidId."""
    return _checked(value, _PHONE_E164, "a phone number must be '+' and 7 to 15 digits, such as +40712345678")


def short_hash(value: str) -> str:
    """A document id's part that stands for another id (twenty hex digits): ids that hold numbers are never repeated in others."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _checked(value: object, pattern: re.Pattern[str], complaint: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidId(complaint)
    return value


def _storable(whatsapp_id: str) -> str:
    """A sender chooses its ids: one that cannot stand in a document id is replaced by its hash, the same each time."""
    return whatsapp_id if _WHATSAPP_ID.fullmatch(whatsapp_id) else "hashed-" + short_hash(whatsapp_id)


def _person(jid: str) -> str:
    """The person's name without the device, on the server that names persons: 40712345678:99@hosted is 40712345678@s.whatsapp.net."""
    user, at, server = jid.partition("@")
    return f"{user.split(':')[0]}{at}{_HOSTED.get(server, server)}"


def _is_number(jid: str) -> bool:
    return jid.endswith(_NUMBER_SERVER)


def _is_lid(jid: str) -> bool:
    return jid.endswith(_LID_SERVER)
