"""The bodies that the connector is called with: checked field by field, each complaint naming its field and quoting nothing."""

import json
import re
from datetime import datetime
from typing import Any

from connector.sending import SendRequest
from core.errors import ErrorCode
from core.ids import InvalidId, WaMessageKey, account_id, chat_id, is_direct, phone_e164
from core.text import MAX_TEXT_UTF16_UNITS, utf16_units

_OUTBOUND_KEY = re.compile(r"3EB0[0-9A-F]{18}")


class InvalidCall(ValueError):
    """What is wrong, under the code that the answer gives."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.INVALID_REQUEST) -> None:
        super().__init__(message)
        self.code = code


def parse_send(body: bytes) -> SendRequest:
    fields = _object(body)
    try:
        account, chat = account_id(fields.get("accountId")), chat_id(fields.get("chatId"))
    except InvalidId as error:
        raise InvalidCall(str(error)) from error
    if not is_direct(chat):
        raise InvalidCall("chatId is a group's: messages cannot be sent to groups yet", ErrorCode.CHAT_NOT_SUPPORTED)
    return SendRequest(
        account=account,
        chat=chat,
        key=_outbound_key(fields.get("waMessageKey")),
        text=_text(fields.get("text")),
        not_after=_time(fields.get("notAfter")),
        is_reply=_is_reply(fields.get("isReply")),
    )


def parse_number(body: bytes) -> str:
    try:
        return phone_e164(_object(body).get("phoneE164"))
    except InvalidId as error:
        raise InvalidCall(f"phoneE164: {error}") from error


def parse_passkey_answer(body: bytes) -> str:
    """The engine reads the answer itself."""
    answer = _object(body).get("answer")
    if not isinstance(answer, str):
        raise InvalidCall("answer must be a string")
    return answer


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidCall("the body must be JSON") from error
    if not isinstance(fields, dict):
        raise InvalidCall("the body must be a JSON object")
    return fields


def _outbound_key(value: object) -> WaMessageKey:
    if not isinstance(value, str) or not _OUTBOUND_KEY.fullmatch(value):
        raise InvalidCall("waMessageKey must be 3EB0 and 18 upper-case hex digits")
    return WaMessageKey(value)


def _is_reply(value: object) -> bool | None:
    """None: functions that are older than this field."""
    if value is not None and not isinstance(value, bool):
        raise InvalidCall("isReply must be a boolean")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= utf16_units(value) <= MAX_TEXT_UTF16_UNITS:
        raise InvalidCall(f"text must be a string of 1 to {MAX_TEXT_UTF16_UNITS} UTF-16 units")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidCall("text must not hold half of a surrogate pair")
    return value


def _time(value: object) -> datetime:
    complaint = "notAfter must be a time in RFC 3339 with a zone, such as 2026-05-01T12:00:00.000Z"
    if not isinstance(value, str):
        raise InvalidCall(complaint)
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidCall(complaint) from error
    if time.tzinfo is None or not 1970 < time.year < 9999:
        raise InvalidCall(complaint)
    return time
