"""A round's accounts, paired and connected, its contacts and its threads; then the writing itself, by many at a time."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from google.api_core.exceptions import Aborted, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type
from google.cloud.firestore import SERVER_TIMESTAMP, Client

from core import schema, thread
from core.account import CommandKind, Status, new_account_document, new_command, new_lease_document
from core.thread import Thread
from local.control_client import ControlRefused
from local.faults.cast import Account, Cast, Chat, Inbound, Request, is_first_under_lid, request_of
from local.network.client import Network
from local.network.contacts import Addressing
from local.network.faults import FaultKind as NetworkFault

_WRITERS = 12
_REPEATED_PART = 3
"""WhatsApp hands every third contact's events over twice."""
_LIMIT_S = 60.0
_MERGE_LIMIT_S = 600.0
"""Of a thread that is to be merged: the function that merges is killed and started again for one chat after the other."""
_ASK_AGAIN_S = 4.0
"""A person who sees no code asks for one again."""
_POLL_S = 0.1
_ACCOUNTS_A_COMMIT = 200
_CONTESTED = Retry(predicate=if_exception_type(Aborted, ServiceUnavailable), timeout=_LIMIT_S)


class StageFailed(Exception):
    """The world did not come to the state that a round begins with."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    db: Client
    network: Network

    def prepare(self, cast: Cast) -> None:
        """Returns when all accounts are connected. Raises StageFailed."""
        for chat in cast.chats:
            self._add_contact(chat, Addressing.NUMBER_ONLY if chat.merges else Addressing.NUMBER)
        for account in cast.accounts:
            self.ask_for_pairing(account)
        for account in cast.accounts:
            if not self.pair(account, _LIMIT_S):
                raise StageFailed(f"an account was not connected within {_LIMIT_S:.0f} s")
        self._begin_chats(cast)

    def prepare_linked(self, cast: Cast) -> None:
        """The same for many accounts at once, which were linked in an earlier life (simulated network); waits for nobody."""
        for chat in cast.chats:
            self.network.add_contact(chat.contact, f"Contact {chat.index}", reads=chat.reads)
        for account in cast.accounts:
            self.network.link(account.account_id, account.phone)
        self._begin_chats(cast)
        now = datetime.now(UTC)
        for first in range(0, len(cast.accounts), _ACCOUNTS_A_COMMIT):
            batch = self.db.batch()
            for account in cast.accounts[first : first + _ACCOUNTS_A_COMMIT]:
                document = new_account_document(account.account_id, "Shop")
                batch.create(self.db.collection(schema.ACCOUNTS).document(account.account_id), document)
                batch.create(self.db.collection(schema.LEASES).document(account.account_id), new_lease_document(now))
            batch.commit()

    def _add_contact(self, chat: Chat, addressing: Addressing) -> None:
        self.network.add_contact(chat.contact, f"Contact {chat.index}", reads=chat.reads, addressing=addressing)

    def _begin_chats(self, cast: Cast) -> None:
        for chat in cast.chats:
            if chat.requests:
                self._start_thread(chat)
            if chat.index % _REPEATED_PART == 0:
                self.network.fault(NetworkFault.REPEAT, contact=chat.contact, times=None)

    def write(self, cast: Cast) -> None:
        """All requests and inbound messages: in order within a chat, the chats side by side."""
        waiting = sum(2 for chat in cast.chats if chat.merges)  # a side of such a chat waits for the other one
        with ThreadPoolExecutor(max(_WRITERS, waiting)) as writers:
            work = [writers.submit(self._write_all, cast.requests(chat)) for chat in cast.chats]
            work += [writers.submit(self._write_all, cast.inbound(chat)) for chat in cast.chats]
            for written in work:
                written.result()

    def write_one(self, message: Request | Inbound) -> None:
        """Returns when it stands in Firestore, or at the network: that is what defines the chat's order."""
        if isinstance(message, Request):
            if message.chat.merges and not message.is_former:
                self._await(schema.THREADS, message.thread_id)  # a client writes into a thread that it sees
            self.db.collection(schema.OUTBOX).document(message.request_id).create(outbox_document(message))
        else:
            chat = message.chat
            if chat.waits and is_first_under_lid(message):
                self._await(schema.MESSAGES, request_of(chat, chat.requests_before_merge - 1).message_id)
            if message.addressing is not None:
                self._add_contact(chat, message.addressing)  # its receipts come under the same name
            self.network.write(
                chat.contact,
                chat.account.phone,
                message.text,
                whatsapp_id=message.whatsapp_id,
                addressing=message.addressing,
            )

    def _await(self, collection: str, document_id: str) -> None:
        """Until the document exists. Raises StageFailed."""
        reference, deadline = self.db.collection(collection).document(document_id), time.monotonic() + _MERGE_LIMIT_S
        while not reference.get().exists:
            if time.monotonic() > deadline:
                raise StageFailed(f"a document of {collection} did not exist after {_MERGE_LIMIT_S:.0f} s")
            time.sleep(_POLL_S)

    def _write_all(self, messages: Sequence[Request | Inbound]) -> None:
        for message in messages:
            self.write_one(message)

    def pair(self, account: Account, limit_s: float) -> bool:
        """Does what a person does who wants it paired: looks, enters the code, and asks for another where none is shown."""
        deadline, asked_at = time.monotonic() + limit_s, time.monotonic()
        while not self.is_connected(account):
            if time.monotonic() > deadline:
                return False
            if self.enter_code(account):
                asked_at = time.monotonic()
            elif self._shows_no_pairing(account) and time.monotonic() - asked_at > _ASK_AGAIN_S:
                asked_at = time.monotonic()
                self._ask_again(account)
            time.sleep(_POLL_S)
        return True

    def enter_code(self, account: Account) -> bool:
        """Whether the phone was linked. False where no code stands, nobody shows it any more, or whoever shows it does not answer."""
        private = self.db.collection(schema.ACCOUNTS).document(account.account_id).collection(schema.PRIVATE)
        code = (private.document(schema.PRIVATE_STATE).get().to_dict() or {}).get("pairingCode")
        if not code:
            return False
        with suppress(ControlRefused, TimeoutError):
            self.network.enter_code(account.phone, str(code))
            return True
        return False

    def ask_for_pairing(self, account: Account) -> None:
        """Creates the account, with the command to pair it by a code."""
        command = new_command(CommandKind.PAIR_CODE, account.phone).document()
        now = datetime.now(UTC)
        batch = self.db.batch()
        document = new_account_document(account.account_id, "Shop")
        batch.create(self.db.collection(schema.ACCOUNTS).document(account.account_id), document)
        lease = new_lease_document(now) | {"command": command}
        batch.create(self.db.collection(schema.LEASES).document(account.account_id), lease)
        batch.commit()

    def _shows_no_pairing(self, account: Account) -> bool:
        document = self.db.collection(schema.ACCOUNTS).document(account.account_id).get().to_dict() or {}
        return document.get("status") in (Status.NEEDS_QR, Status.ERROR)

    def _ask_again(self, account: Account) -> None:
        command = new_command(CommandKind.PAIR_CODE, account.phone).document()
        self.change_lease(account, {"command": command})

    def change_lease(self, account: Account, fields: dict[str, object]) -> None:
        """As a callable's client does, it is tried again where another write of the lease was faster."""
        self.db.collection(schema.LEASES).document(account.account_id).update(fields, retry=_CONTESTED)

    def is_connected(self, account: Account) -> bool:
        document = self.db.collection(schema.ACCOUNTS).document(account.account_id).get().to_dict() or {}
        return document.get("status") == "connected"

    def _start_thread(self, chat: Chat) -> None:
        name = chat.former_id if chat.merges else chat.chat_id
        document = thread.new_document(chat.account.account_id, name, Thread(phone=chat.contact), datetime.now(UTC))
        self.db.collection(schema.THREADS).document(chat.thread_ids[-1]).create(document)


def outbox_document(request: Request) -> dict[str, object]:
    """Exactly the fields that a client writes."""
    chat = request.chat
    return {
        "threadId": request.thread_id,
        "accountId": chat.account.account_id,
        "chatId": request.chat_id,
        "to": request.chat_id,
        "text": request.text,
        "clientMessageId": request.client_message_id,
        "createdByUid": request.uid,
        "createdByEmail": f"{request.uid}@example.com",
        "createdAt": SERVER_TIMESTAMP,
        "status": "queued",
    }
