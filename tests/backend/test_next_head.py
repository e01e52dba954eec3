"""The outcome of an attempt is recorded whatever stands behind it in the queue: a message that was sent is not sent again."""

from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument

from core import schema
from tests.backend.refused_commits import refused
from tests.backend.world import World, key_of

NEARLY_A_MIB = 1_047_300
MALFORMED: dict[str, dict[str, Any]] = {
    "nearly 1 MiB of text": {"media": "m" * NEARLY_A_MIB},
    "nearly 1 MiB of two-byte characters": {"media": "ü" * (NEARLY_A_MIB // 2)},
    "another's id": {"clientMessageId": "another"},
    "a text that is none": {"text": ["a"]},
}


@pytest.mark.parametrize("changes", MALFORMED.values(), ids=MALFORMED)
def test_a_message_before_a_malformed_one_is_sent_once_and_the_one_behind_it_is_sent(
    world: World, changes: dict[str, Any]
) -> None:
    chat = world.chat()
    first, bad, last = world.write(chat, "first"), world.write(chat, **changes), world.write(chat, "last")
    for request in (first, last):
        world.accept(request)
    world.send_job(chat)
    assert world.connector.keys(world.account) == [key_of(first), key_of(last)]
    assert [world.request(each)["status"] for each in (first, bad, last)] == ["sent", "failed", "sent"]
    assert world.request(first)["attempts"] == 1
    assert world.request(bad)["lastError"].startswith(("invalid_request: ", "wrong_request_id: "))
    assert "waMessageKey" not in world.request(bad), "it was never claimed"


def test_a_message_before_one_full_of_references_is_sent_once(world: World) -> None:
    chat = world.chat()
    long_path = world.db.collection("a" * 1400).document("b" * 1400).collection("c" * 1400).document("d" * 1400)
    first, bad = world.write(chat, "first"), world.write(chat, media=[long_path] * 180)
    world.accept(first)
    world.send_job(chat)
    assert world.connector.keys(world.account) == [key_of(first)]
    assert world.request(bad)["lastError"].startswith("invalid_request: the document is too large")


def test_a_message_is_sent_once_also_where_firestore_refuses_the_next_ones_claim_for_good(world: World) -> None:
    """Fields that fill a document, so that Firestore refuses another field."""
    chat = world.chat()
    requests = [world.write(chat, text) for text in ("first", "second")]
    for request in requests:
        world.accept(request)
    refusal = InvalidArgument("Document cannot be written because its size exceeds the maximum allowed size")
    with refused(refusal, touching=f"{schema.OUTBOX}/{requests[1]}"):
        world.send_job(chat)
    assert world.connector.keys(world.account) == [key_of(each) for each in requests]
    assert [world.request(each)["status"] for each in requests] == ["sent", "sent"]


def test_a_message_that_leaves_no_room_for_its_outcome_is_sent_once(world: World) -> None:
    """It has been sent; its own document, which a server key has filled meanwhile, loses the length of its fields."""
    chat = world.chat()
    request = world.write(chat, "first")
    world.accept(request)
    refusal = InvalidArgument("Document cannot be written because its size exceeds the maximum allowed size")
    with refused(refusal, touching=f"{schema.MESSAGES}/"):
        world.send_job(chat)
    assert world.connector.keys(world.account) == [key_of(request)]
    assert world.request(request)["status"] == "sent"
