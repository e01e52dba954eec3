"""The ids that last for ever: how each is made, taken apart and refused."""

import hashlib
import re
import secrets
from typing import NewType

AccountId = NewType("AccountId", str)
ChatId = NewType("ChatId", str)
"""A WhatsApp JID in its canonical form: the phone number's where it is known, else the LID; groups end in @g.us."""
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
    """The one name of a person who is known by a number, a LID or both: the number's where it is known."""
    bare, other = _without_device(jid), _without_device(other_name)
    if bare.endswith(_LID_SERVER) and other.endswith(_NUMBER_SERVER):
        return other
    return bare


def chat_of_phone(phone: str) -> ChatId:
    """The chat of a checked number, unless WhatsApp knows its owner by a LID alone."""
    return ChatId(f"{phone.removeprefix('+')}{_NUMBER_SERVER}")


def phone_of(chat: ChatId) -> str | None:
    """The chat's number as +E.164, or None where it is a LID or a group."""
    digits, server = chat.split("@")
    return f"+{digits}" if f"@{server}" == _NUMBER_SERVER else None


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


def _without_device(jid: str) -> str:
    """40712345678:7@s.whatsapp.net is device 7 of 40712345678@s.whatsapp.net."""
    user, at, server = jid.partition("@")
    return f"{user.split(':')[0]}{at}{server}"
