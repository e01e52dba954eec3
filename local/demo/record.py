"""Whether what the demo showed stands in Firestore and in the network's own record: read with a server's client, not the demo's."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from google.cloud import firestore

from core import schema
from core.delivery import Delivery
from core.ids import AccountId, ChatId, RequestId, outbound_key, thread_id, wa_message_id
from local.demo.people import ACCOUNT, CONTACT
from local.network.client import Network
from local.network.contacts import lid_of
from local.ports import HOST
from local.project import PROJECT_ID
from local.suite_ports import SuitePorts

_EMULATOR = "FIRESTORE_EMULATOR_HOST"
_CHAT = ChatId(lid_of(CONTACT.phone))


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the clients say that they saw."""

    account_id: AccountId
    request_id: RequestId
    inbound: list[str]
    outbound: list[str]

    @classmethod
    def read(cls, file: Path) -> Self:
        result = json.loads(file.read_text())
        return cls(
            account_id=AccountId(result["accountId"]),
            request_id=RequestId(result["requestId"]),
            inbound=result["inbound"],
            outbound=result["outbound"],
        )


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the two records are read."""

    firestore: str
    network_control_port: int

    @classmethod
    def of(cls, ports: SuitePorts) -> Self:
        return cls(firestore=f"{HOST}:{ports.firestore}", network_control_port=ports.network_control)


@contextmanager
def server_client(addresses: Addresses) -> Iterator[firestore.Client]:
    """A client that no rule binds."""
    before = os.environ.get(_EMULATOR)
    os.environ[_EMULATOR] = addresses.firestore
    try:
        client = firestore.Client(project=PROJECT_ID)
    finally:
        if before is None:
            del os.environ[_EMULATOR]
        else:
            os.environ[_EMULATOR] = before
    try:
        yield client
    finally:
        client.close()


def contradictions(addresses: Addresses, shown: Shown) -> list[str]:
    """One line for each thing that is not as it was shown; none when all holds."""
    with server_client(addresses) as client:
        found = _Documents(client).compare(shown)
    return found + _compare_network(Network(addresses.network_control_port), shown)


@dataclass(frozen=True)
class _Documents:
    client: firestore.Client

    def compare(self, shown: Shown) -> list[str]:
        thread = thread_id(shown.account_id, _CHAT)
        reply = wa_message_id(thread, outbound_key(shown.request_id))
        messages = self._messages(thread)
        inbound = [message for message in messages.values() if message["direction"] == "in"]
        return [
            *_differences(
                "the account",
                self._get(schema.ACCOUNTS, shown.account_id),
                {"status": "connected", "phoneE164": ACCOUNT.phone, "name": ACCOUNT.name, "desiredState": "connected"},
            ),
            *_differences(
                "the thread",
                self._get(schema.THREADS, thread),
                {"accountId": shown.account_id, "chatId": _CHAT, "clientPhoneE164": CONTACT.phone}
                | {"clientDisplayName": CONTACT.name, "unreadCountGlobal": 1, "lastMessagePreview": shown.inbound[-1]},
            ),
            *_differences(
                "the outbox document",
                self._get(schema.OUTBOX, shown.request_id),
                {"status": "sent", "attempts": 1, "waMessageKey": outbound_key(shown.request_id)},
            ),
            *_differences(
                "the employee's message",
                messages.get(reply, {}),
                {"direction": "out", "text": shown.outbound[0], "delivery": str(Delivery.READ)}
                | {"requestId": shown.request_id},
            ),
            *_differences("the thread's messages", {"count": len(messages)}, {"count": len(shown.inbound) + 1}),
            *_differences("the contact's messages", {"texts": [m["text"] for m in inbound]}, {"texts": shown.inbound}),
            *_differences("the ingest log", {"waiting": self._unprocessed(shown.account_id)}, {"waiting": 0}),
        ]

    def _get(self, collection: str, document_id: str) -> dict[str, Any]:
        return self.client.collection(collection).document(document_id).get().to_dict() or {}

    def _messages(self, thread: str) -> dict[str, dict[str, Any]]:
        """In the order of their time."""
        query = self.client.collection(schema.MESSAGES).where(filter=firestore.FieldFilter("threadId", "==", thread))
        return {message.id: message.to_dict() or {} for message in query.order_by("timestamp").stream()}

    def _unprocessed(self, account: AccountId) -> int:
        query = self.client.collection(schema.INGEST).where(filter=firestore.FieldFilter("accountId", "==", account))
        return sum(1 for row in query.stream() if row.get("processed") is not True)


def _compare_network(network: Network, shown: Shown) -> list[str]:
    key = outbound_key(shown.request_id)
    frames = network.frames(contact=CONTACT.phone)
    inbox = network.inbox(CONTACT.phone)
    written = [message.text for message in network.written(contact=CONTACT.phone) if not message.from_me]
    return [
        *_differences(
            "the network's frames",
            {"frames": [(frame.whatsapp_id, frame.text) for frame in frames]},
            {"frames": [(key, shown.outbound[0])]},
        ),
        *_differences(
            "the contact's app",
            {"inbox": [(message.whatsapp_id, message.text) for message in inbox]},
            {"inbox": [(key, shown.outbound[0])]},
        ),
        *_differences("what the contact wrote", {"texts": written}, {"texts": shown.inbound}),
    ]


def _differences(what: str, found: Mapping[str, object], expected: Mapping[str, object]) -> list[str]:
    return [
        f"{what}: {name} is {found.get(name)!r}, shown was {value!r}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
