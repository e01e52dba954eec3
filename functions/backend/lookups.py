"""Looks numbers up at WhatsApp: each number once a day, within the limits of the account and of the person who asks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from backend import log
from backend.clock import jitter, now
from backend.connector_client import CONNECTOR_ERRORS, ConnectorClient, NotConnected
from backend.contention import until_committed
from backend.refusal import Refused
from backend.stores import Commit, Document, Stored, Stores
from core import lookups, schema
from core.access import Person
from core.account import Lease
from core.errors import ErrorCode
from core.ids import AccountId, ChatId
from core.log_hash import keyed_hash
from core.lookups import Lookup, NothingLeft, Share

_LOOK_AGAIN_S = 0.4
_AWAY = "the account is not connected, so the number cannot be looked up"
_CONNECTOR_ERRORS: Mapping[type[Exception], tuple[ErrorCode, str]] = {
    **CONNECTOR_ERRORS,
    NotConnected: (ErrorCode.NOT_CONNECTED, _AWAY),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    account: AccountId
    phone_e164: str
    by: Person


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """whatsapp_lookups holds a document for each number and day, and one for each account and person that has asked."""

    stores: Stores
    connector: ConnectorClient
    key: str
    """The key of the hashes that are document ids. An id with the number itself would show it in every log and URL, and a hash without a key could be guessed."""

    def chat_of(self, lease: Lease, asked: Question) -> ChatId | None:
        """The chat of a number, or None if the number is not on WhatsApp. The answer is stored until the end of the day (UTC). Raises Refused."""
        give_up_at = time.monotonic() + lookups.ANSWER_LIMIT_S
        name = self._name_of_number(asked.phone_e164, now())
        while True:
            known = until_committed(lambda _: self._begin(name, lease, asked), "the look-up could not be begun")
            if known is None:
                return self._ask(name, lease, asked)
            if known.is_answered:
                return known.chat
            if time.monotonic() > give_up_at:
                raise Refused(ErrorCode.CONNECTOR_UNREACHABLE, "the number is being looked up; try again in a moment")
            time.sleep(_LOOK_AGAIN_S * (0.5 + jitter()))

    def _begin(self, name: str, lease: Lease, asked: Question) -> Lookup | None:
        """None: the caller must ask WhatsApp, and the look-up is already counted. Else another caller's look-up, answered or under way. Raises Conflict."""
        of_account, of_person = f"account_{asked.account}", f"person_{keyed_hash(self.key, asked.by.uid)}"
        found, at = self.stores.documents(schema.LOOKUPS, [name, of_account, of_person]), now()
        current = found.get(name)
        known = lookups.parse(current.value) if current is not None else None
        if known is not None and (known.is_answered or known.is_under_way(at)):
            return known
        if not lease.is_held(at) or not self.stores.is_connected(asked.account):
            raise Refused(ErrorCode.NOT_CONNECTED, _AWAY)
        commit = self.stores.commit()
        fields = lookups.asked_fields(asked.account, asked.by.uid, asked.by.email, at)
        _create_or_update(commit, name, current, fields)
        try:
            _spend(commit, of_account, found.get(of_account), lookups.ACCOUNT_SHARE, at)
            _spend(commit, of_person, found.get(of_person), lookups.PERSON_SHARE, at)
        except NothingLeft as error:
            log.lookup_refused(asked.account, asked.by.uid, asked.phone_e164)
            minutes = max(1, round(error.wait.total_seconds() / 60))
            detail = f"too many numbers were looked up lately; the next one can be looked up in {minutes} min"
            raise Refused(ErrorCode.LOOKUP_LIMIT, detail) from error
        commit.run()
        return None

    def _ask(self, name: str, lease: Lease, asked: Question) -> ChatId | None:
        try:
            chat = self.connector.is_on_whatsapp(lease, asked.account, asked.phone_e164)
        except tuple(_CONNECTOR_ERRORS) as error:
            self._note(name, lookups.FAILED_FIELDS)
            raise Refused(*_CONNECTOR_ERRORS[type(error)]) from error
        self._note(name, lookups.answered_fields(chat, now()))
        log.number_looked_up(asked.account, asked.by.uid, asked.phone_e164, is_found=chat is not None)
        return chat

    def _note(self, name: str, fields: Mapping[str, object]) -> None:
        def write(_conflicts: int) -> None:
            commit = self.stores.commit()
            commit.change(schema.LOOKUPS, name, fields)
            commit.run()

        until_committed(write, "the answer of a look-up could not be noted")

    def _name_of_number(self, phone_e164: str, at: datetime) -> str:
        return f"number_{keyed_hash(self.key, f'{phone_e164}|{lookups.day_of(at)}')}"


def _spend(commit: Commit, name: str, current: Stored[Document] | None, share: Share, at: datetime) -> None:
    """Raises NothingLeft."""
    until = share.spend(lookups.spent_until(current.value) if current is not None else None, at)
    _create_or_update(commit, name, current, lookups.spent_fields(until))


def _create_or_update(
    commit: Commit, name: str, current: Stored[Document] | None, fields: Mapping[str, object]
) -> None:
    """Writes under the precondition of the read: if two callers count the same look-up, one of them reads again."""
    if current is None:
        commit.create(schema.LOOKUPS, name, fields)
    else:
        commit.update(schema.LOOKUPS, name, fields, at=current.update_time)
