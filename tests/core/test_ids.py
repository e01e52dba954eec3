import hashlib

import pytest

from core import ids
from core.ids import AccountId, ChatId, InvalidId, RequestId, ThreadId, WaMessageKey

CHAT = ChatId("40712345678@s.whatsapp.net")
THREAD = ThreadId("shop-1_40712345678@s.whatsapp.net")


def test_thread_event_and_message_ids_are_joined_with_underscores() -> None:
    assert ids.thread_id(AccountId("shop-1"), CHAT) == THREAD
    assert ids.event_id(THREAD, WaMessageKey("ABC-in")) == f"{THREAD}_ABC-in"
    assert ids.wa_message_id(THREAD, WaMessageKey("ABC-in")) == f"{THREAD}_ABC-in"


def test_a_request_id_is_the_thread_and_the_sha256_of_its_parts() -> None:
    digest = hashlib.sha256(f"{THREAD}|{CHAT}|Olá 👋|01J".encode()).hexdigest()
    assert ids.request_id(THREAD, CHAT, "Olá 👋", "01J") == f"{THREAD}_{digest}"


def test_our_whatsapp_id_follows_from_the_request_alone() -> None:
    key = ids.outbound_key(RequestId("shop-1_4071@s.whatsapp.net_00"))
    assert key == "3EB0" + hashlib.sha256(b"shop-1_4071@s.whatsapp.net_00").hexdigest()[:18].upper()
    assert len(key) == 22


def test_a_contact_that_reuses_an_id_of_ours_gets_a_key_of_its_own() -> None:
    assert ids.inbound_key("3EB0AA") == "3EB0AA-in"
    assert ids.own_key("3EB0AA") == "3EB0AA"


def test_a_receipt_has_one_key_for_each_message_and_value() -> None:
    assert ids.receipt_key(WaMessageKey("3EB0AA"), "read") == "3EB0AA-receipt-read"


@pytest.mark.parametrize("whatsapp_id", ["a/b", "", "ü", "x" * 129, "with space"])
def test_an_id_that_firestore_would_not_take_is_replaced_by_the_same_hash_each_time(whatsapp_id: str) -> None:
    key = ids.inbound_key(whatsapp_id)
    assert key == ids.inbound_key(whatsapp_id)
    assert key.startswith("hashed-")
    assert ids.document_id(key) == key


@pytest.mark.parametrize(
    ("jid", "other", "canonical"),
    [
        ("40712345678@s.whatsapp.net", "", "40712345678@s.whatsapp.net"),
        ("40712345678:7@s.whatsapp.net", "", "40712345678@s.whatsapp.net"),
        ("991@lid", "40712345678@s.whatsapp.net", "991@lid"),
        ("991:3@lid", "40712345678:1@s.whatsapp.net", "991@lid"),
        ("40712345678@s.whatsapp.net", "991@lid", "991@lid"),
        ("40712345678:99@hosted", "", "40712345678@s.whatsapp.net"),
        ("991:99@hosted.lid", "40712345678@hosted", "991@lid"),
        ("40712345678@hosted", "991@hosted.lid", "991@lid"),
        ("99100@lid", "", "99100@lid"),
        ("1203630-16@g.us", "", "1203630-16@g.us"),
    ],
)
def test_a_chat_is_named_by_its_lid_where_that_is_known(jid: str, other: str, canonical: str) -> None:
    assert ids.canonical_chat(jid, other) == canonical


@pytest.mark.parametrize("value", ["", "a_b", "a/b", "a" * 65, "ü", None, 7])
def test_account_ids_are_refused_that_would_break_the_ids_made_of_them(value: object) -> None:
    with pytest.raises(InvalidId):
        ids.account_id(value)


@pytest.mark.parametrize(
    "value",
    ["shop-1", "shop-1_", "_4071@s.whatsapp.net", "shop-1_4071/2@s.whatsapp.net", "shop-1_x@lid", None, "a" * 1501],
)
def test_thread_ids_are_refused_that_do_not_come_apart(value: object) -> None:
    with pytest.raises(InvalidId):
        ids.parse_thread_id(value)


def test_a_thread_id_comes_apart_at_its_first_underscore() -> None:
    assert ids.parse_thread_id(THREAD) == ("shop-1", CHAT)


@pytest.mark.parametrize("value", ["", "a/b", "x" * 1501, "ü" * 751, 3])
def test_document_ids_are_refused_that_firestore_would_not_take(value: object) -> None:
    with pytest.raises(InvalidId):
        ids.document_id(value)


@pytest.mark.parametrize("value", ["40712345678", "+0712345678", "+40 712", "+407123456789012345", None])
def test_phone_numbers_are_refused_that_are_not_e164(value: object) -> None:
    with pytest.raises(InvalidId):
        ids.phone_e164(value)


@pytest.mark.parametrize(
    ("jid", "other", "phone"),
    [
        ("40712345678@s.whatsapp.net", "", "+40712345678"),
        ("99100@lid", "", None),
        ("99100@lid", "40712345678:3@s.whatsapp.net", "+40712345678"),
        ("40712345678:99@hosted", "99100@lid", "+40712345678"),
        ("1203630-16@g.us", "", None),
        ("0@s.whatsapp.net", "", None),
    ],
)
def test_the_number_is_known_under_whichever_name_it_comes(jid: str, other: str, phone: str | None) -> None:
    assert ids.phone_of(jid, other) == phone


def test_a_request_id_is_taken_apart_into_itself_and_its_thread() -> None:
    request = ids.request_id(THREAD, CHAT, "hello", "01J")
    assert ids.checked_request_id(request) == (request, THREAD)


@pytest.mark.parametrize(
    "value",
    [None, 7, "", "..", THREAD, f"{THREAD}_", f"{THREAD}_{'A' * 64}", f"{THREAD}_{'a' * 63}", f"a/b_{'a' * 64}"],
)
def test_what_is_no_request_id_is_refused(value: object) -> None:
    with pytest.raises(InvalidId):
        ids.checked_request_id(value)
