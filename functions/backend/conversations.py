"""Begins a conversation with a number that has not written yet."""

from dataclasses import dataclass

from backend.clock import now
from backend.connector_client import (
    ConnectorClient,
    ConnectorRefused,
    ConnectorUnreachable,
    EndpointNotAllowed,
    NotConnected,
)
from backend.refusal import Refused
from backend.stores import Conflict, Stores
from core import schema, thread
from core.errors import ErrorCode
from core.ids import AccountId, ChatId, ThreadId, thread_id
from core.thread import Thread


@dataclass(frozen=True, kw_only=True)
class Conversations:
    stores: Stores
    connector: ConnectorClient

    def start(self, account: AccountId, phone_e164: str) -> ThreadId:
        """The thread of a number, which is created unless it stands. Raises Refused."""
        chat = self._chat_of(account, phone_e164)
        if chat is None:
            raise Refused(ErrorCode.NOT_ON_WHATSAPP, "this number has no WhatsApp account")
        created = thread_id(account, chat)
        commit = self.stores.commit()
        commit.create(schema.THREADS, created, thread.new_document(account, chat, Thread(), now()))
        try:
            commit.run()
        except Conflict:
            return created  # the conversation has begun already
        return created

    def _chat_of(self, account: AccountId, phone_e164: str) -> ChatId | None:
        lease = self.stores.lease(account)
        if lease is None:
            raise Refused(ErrorCode.ACCOUNT_UNKNOWN, "there is no account of this id")
        if not lease.value.is_held(now()):
            raise Refused(ErrorCode.NOT_CONNECTED, "the account is not connected, so the number cannot be looked up")
        try:
            return self.connector.is_on_whatsapp(lease.value, account, phone_e164)
        except NotConnected as error:
            detail = "the account is not connected, so the number cannot be looked up"
            raise Refused(ErrorCode.NOT_CONNECTED, detail) from error
        except EndpointNotAllowed as error:
            detail = "the account's connector is not on the allow-list"
            raise Refused(ErrorCode.ENDPOINT_NOT_ALLOWED, detail) from error
        except ConnectorRefused as error:
            raise Refused(ErrorCode.CONNECTOR_REFUSED, "the connector refused the functions' call") from error
        except ConnectorUnreachable as error:
            raise Refused(ErrorCode.CONNECTOR_UNREACHABLE, "the connector did not answer; try again") from error
