"""A super-admin's answer to a passkey's request: handed to the connector that holds the pairing, and written nowhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from backend.clock import now
from backend.connector_client import CONNECTOR_ERRORS, ConnectorClient, NotConnected, PasskeyNotTaken
from backend.refusal import Refused
from backend.stores import Stores
from core.errors import ErrorCode
from core.ids import AccountId

MAX_ANSWER_CHARACTERS = 16_384
"""An answer has about a thousand."""
_CONNECTOR_ERRORS: Mapping[type[Exception], tuple[ErrorCode, str]] = {
    **CONNECTOR_ERRORS,
    NotConnected: (ErrorCode.NOT_CONNECTED, "no connector holds the pairing any more; begin the pairing again"),
}


@dataclass(frozen=True, kw_only=True)
class Passkeys:
    stores: Stores
    connector: ConnectorClient

    def answer(self, account: AccountId, answer: object) -> None:
        """`answer` is what the script has shown, as text or as the object that the text says. Returns when WhatsApp has taken it. Raises
        Refused."""
        text = json.dumps(answer) if isinstance(answer, dict) else answer
        if not isinstance(text, str) or not 0 < len(text) <= MAX_ANSWER_CHARACTERS:
            detail = f"answer must be what the script has shown, at most {MAX_ANSWER_CHARACTERS} characters"
            raise Refused(ErrorCode.INVALID_REQUEST, detail)
        lease = self.stores.lease(account)
        if lease is None:
            raise Refused(ErrorCode.ACCOUNT_UNKNOWN, "there is no account of this id")
        try:
            if not lease.value.is_held(now()):
                raise NotConnected
            self.connector.answer_passkey(lease.value, account, text)
        except PasskeyNotTaken as error:
            raise Refused(error.code, error.detail) from error
        except tuple(_CONNECTOR_ERRORS) as error:
            raise Refused(*_CONNECTOR_ERRORS[type(error)]) from error
