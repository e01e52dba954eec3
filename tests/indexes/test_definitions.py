"""What firestore.indexes.json must hold whatever the product asks today: the schema's indexes, exemptions and TTL policies."""

import json
from collections import Counter
from pathlib import Path

import pytest

INDEXES = json.loads((Path(__file__).parents[2] / "firestore.indexes.json").read_text())

SCHEMA = [
    ("whatsapp_messages", "threadId ASCENDING, timestamp DESCENDING"),
    ("whatsapp_threads", "accountId ASCENDING, lastMessageAt DESCENDING"),
    ("whatsapp_outbox", "status ASCENDING, createdAt ASCENDING"),
    ("whatsapp_outbox", "accountId ASCENDING, status ASCENDING, createdAt ASCENDING"),
    ("whatsapp_ingest", "processed ASCENDING, receivedAt ASCENDING"),
]
ADDED = [
    ("whatsapp_outbox", "threadId ASCENDING, status ASCENDING, createdAt ASCENDING, clientMessageId ASCENDING"),
    ("whatsapp_ingest", "accountId ASCENDING, chatId ASCENDING, processed ASCENDING, receivedAt ASCENDING"),
    ("whatsapp_outbox", "status ASCENDING, accountId ASCENDING, createdAt ASCENDING"),
    ("whatsapp_ingest", "processed ASCENDING, accountId ASCENDING, receivedAt ASCENDING"),
    ("whatsapp_ingest", "accountId ASCENDING, fromHistory ASCENDING, timestamp ASCENDING"),
    ("whatsapp_account_leases", "wanted ASCENDING, leaseUntil ASCENDING"),
    ("whatsapp_messages", "accountId ASCENDING, threadId ASCENDING, timestamp DESCENDING"),
    ("whatsapp_messages", "senderUid ASCENDING, delivery ASCENDING, createdAt DESCENDING"),
    ("whatsapp_threads", "ownerUid ASCENDING, lastMessageAt DESCENDING"),
    ("whatsapp_threads", "lastMessageAt DESCENDING, unreadCountGlobal DESCENDING"),
    ("whatsapp_messages", "threadId ASCENDING, direction ASCENDING, timestamp DESCENDING"),
    ("whatsapp_messages", "threadId ASCENDING, delivery ASCENDING, writtenAt DESCENDING"),
]
LONG_OR_SECRET = [
    ("whatsapp_ingest", "payload"),
    ("whatsapp_ingest", "lastProcessError"),
    ("whatsapp_messages", "text"),
    ("whatsapp_messages", "media"),
    ("whatsapp_messages", "error"),
    ("whatsapp_outbox", "text"),
    ("whatsapp_outbox", "media"),
    ("whatsapp_outbox", "lastError"),
    ("whatsapp_threads", "lastMessagePreview"),
    ("whatsapp_accounts", "lastError"),
    ("whatsapp_alerts", "message"),
    ("whatsapp_alerts", "meta"),
    ("whatsapp_account_leases", "command"),
    ("private", "qrCodeDataUrl"),
    ("private", "pairingCode"),
    ("private", "passkey"),
    ("private", "authMeta"),
    ("whatsapp_lookups", "chatId"),
]
EXPIRING = ["whatsapp_ingest", "whatsapp_outbox", "whatsapp_alerts", "whatsapp_lookups"]


def composite_indexes() -> Counter[tuple[str, str]]:
    return Counter(
        (
            entry["collectionGroup"],
            ", ".join(f"{field['fieldPath']} {field['order']}" for field in entry["fields"]),
        )
        for entry in INDEXES["indexes"]
    )


def overrides() -> dict[tuple[str, str], dict[str, object]]:
    return {(entry["collectionGroup"], entry["fieldPath"]): entry for entry in INDEXES["fieldOverrides"]}


def test_the_composite_indexes_are_those_of_the_schema_and_the_added_ones() -> None:
    """Each once: every further one costs a write for each document."""
    assert composite_indexes() == Counter(SCHEMA + ADDED)


def test_no_field_is_overridden_twice() -> None:
    assert len(overrides()) == len(INDEXES["fieldOverrides"])


@pytest.mark.parametrize(("collection", "field"), LONG_OR_SECRET)
def test_long_and_secret_fields_are_exempt_from_indexing(collection: str, field: str) -> None:
    assert overrides()[collection, field]["indexes"] == []


@pytest.mark.parametrize("collection", EXPIRING)
def test_documents_that_end_expire(collection: str) -> None:
    """Without an index of its own: expireAt only grows, and such an index limits the collection's writes."""
    override = overrides()[collection, "expireAt"]
    assert (override["ttl"], override["indexes"]) == (True, [])


def test_nothing_else_expires() -> None:
    expiring = {key for key, entry in overrides().items() if entry.get("ttl")}
    assert expiring == {(collection, "expireAt") for collection in EXPIRING}
