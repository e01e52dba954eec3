"""A sender chooses its ids: another message under an id that is taken is kept under an id of its own, and never takes the other's place."""

import asyncio
from typing import Any

import pytest

from connector.arrival import ArrivalOrder
from connector.contract import engine_pb2 as pb
from connector.events import WalRow, wal_rows
from connector.same_content import says_the_same, under_its_own_id
from connector.wal import Wal
from core.ids import AccountId
from tests.connector.test_recent_rows import CALL_S, CHAT, NOW, Ledger, all_of, ledger, receipt, text

__all__ = ["ledger"]


def row(event: pb.Event) -> WalRow:
    (made,) = wal_rows(AccountId("shop"), event, ArrivalOrder(last_received_at=NOW), NOW)
    return made


def message(**content: Any) -> pb.Event:
    received = pb.MessageReceived(whatsapp_id="A1", chat_jid=CHAT, timestamp_s=1_700_000_000, **content)
    return pb.Event(sequence=1, message=received, wire=b"wire")


async def words(ledger: Ledger) -> list[str]:
    return sorted(str(document["payload"]["text"]) for document in (await ledger.stands()).values())


async def test_two_texts_under_one_id_are_both_kept_and_each_repeat_meets_its_own(ledger: Ledger) -> None:
    for _ in range(2):
        await all_of(ledger.submit("shop", text("one")), ledger.submit("shop", text("two")))
    assert await words(ledger) == ["one", "two"]


async def test_another_process_finds_each_under_its_own_id(ledger: Ledger) -> None:
    """It remembers nothing of what the first one has written."""
    await all_of(ledger.submit("shop", text("one")), ledger.submit("shop", text("two")))
    ledger.wal = second = Wal(ledger.db, CALL_S)
    running = asyncio.create_task(second.run())
    await all_of(ledger.submit("shop", text("two")), ledger.submit("shop", text("one")))
    running.cancel()
    assert await words(ledger) == ["one", "two"]


async def test_the_moved_rows_id_and_key_fit_together(ledger: Ledger) -> None:
    await all_of(ledger.submit("shop", text("one")), ledger.submit("shop", text("two")))
    for event_id, document in (await ledger.stands()).items():
        assert event_id == f"shop_{CHAT}_{document['waMessageKey']}"
        assert document["waMessageKey"].startswith("A1-")
        assert document["waMessageKey"].endswith("-in")


async def test_accounts_beside_it_are_not_delayed(ledger: Ledger) -> None:
    await all_of(ledger.submit("shop", text("one")))
    ledger.commits.clear()
    others = [ledger.submit(f"other-{number}", text("hello")) for number in range(20)]
    await all_of(ledger.submit("shop", text("two")), *others)
    assert ledger.commits == [21, 21]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (message(text="a"), message(text="a", push_name="Ana", chat_other_jid="1@lid"), True),
        (message(text="a"), message(text="b"), False),
        (message(text="a"), message(text="a", from_me=False, context=pb.Context(expiration_s=5)), True),
        (message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1")), message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1", direct_path="/new")), True),
        (message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1")), message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"2")), False),
        (message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1")), message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1", caption="c")), False),
        (message(media=pb.Media(type=pb.Media.IMAGE, media_key=b"1")), message(media=pb.Media(type=pb.Media.IMAGE, media_key=b"1", direct_path="/new", thumbnail=b"t")), True),
        (message(media=pb.Media(type=pb.Media.IMAGE, media_key=b"1")), message(media=pb.Media(type=pb.Media.IMAGE, media_key=b"2")), False),
        (message(media=pb.Media(type=pb.Media.IMAGE, encrypted_sha256=b"1")), message(media=pb.Media(type=pb.Media.IMAGE, encrypted_sha256=b"2")), False),
        (message(media=pb.Media(type=pb.Media.VOICE, seconds=4)), message(media=pb.Media(type=pb.Media.VOICE, seconds=5)), False),
        (message(media=pb.Media(type=pb.Media.DOCUMENT, file_name="a.pdf", size_bytes=1)), message(media=pb.Media(type=pb.Media.DOCUMENT, file_name="a.pdf", size_bytes=2)), False),
        (message(media=pb.Media(type=pb.Media.IMAGE, mime_type="image/png")), message(media=pb.Media(type=pb.Media.IMAGE, mime_type="image/jpeg")), False),
        (message(media=pb.Media(type=pb.Media.VIDEO, size_bytes=9)), message(media=pb.Media(type=pb.Media.VIDEO, seconds=9)), False),
        (message(media=pb.Media(type=pb.Media.IMAGE)), message(media=pb.Media(type=pb.Media.IMAGE)), True),
        (message(note=pb.Note(kind="edit", text="b", target_id="A1")), message(text="a"), False),
        (message(poll=pb.Poll(question="q", options=["x"])), message(poll=pb.Poll(question="q", options=["y"])), False),
        (message(unsupported="a"), message(unsupported="b"), False),
        (receipt(second=1), receipt(second=2), True),
    ],
)  # fmt: skip
def test_what_counts_as_the_same_message(one: pb.Event, other: pb.Event, is_same: bool) -> None:
    assert says_the_same(row(one).document, row(other)) is is_same
    assert says_the_same(row(other).document, row(one)) is is_same


def test_each_has_an_id_that_follows_from_what_it_says() -> None:
    one, other = row(message(text="a")), row(message(text="b"))
    assert under_its_own_id(one).event_id == under_its_own_id(row(message(text="a", push_name="Ana"))).event_id
    assert under_its_own_id(one).event_id != under_its_own_id(other).event_id


def test_what_an_older_version_kept_of_a_message_is_that_message() -> None:
    existing = row(message(text="a")).document
    existing["payload"] = {"kind": "imageMessage", "text": None, "fromMe": False, "wire": b"w"}
    assert says_the_same(existing, row(message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1"))))


def test_a_row_that_left_something_out_cannot_be_told_from_another() -> None:
    existing = row(message(text="a")).document
    existing["payload"] = existing["payload"] | {"text": None, "leftOut": {"text": {"bytes": 5}}}
    assert says_the_same(existing, row(message(text="b")))


async def test_what_is_compared_is_read_from_the_document(ledger: Ledger) -> None:
    """The fields that are asked for are enough: a picture with its caption, a place and a poll meet themselves."""
    events = [
        message(media=pb.Media(type=pb.Media.IMAGE, sha256=b"1", caption="c", thumbnail=b"t")),
        message(
            media=pb.Media(
                type=pb.Media.VOICE,
                media_key=b"1",
                encrypted_sha256=b"2",
                mime_type="audio/ogg",
                size_bytes=9,
                seconds=4,
            )
        ),
        message(media=pb.Media(type=pb.Media.DOCUMENT, file_name="a.pdf", width=3, height=4)),
        message(location=pb.Location(latitude=44.5, longitude=26.5, name="Shop")),
        message(poll=pb.Poll(question="q", options=["x", "y"])),
        message(contacts=pb.Contacts(cards=[pb.Contacts.Card(name="Ana", vcard="v")])),
    ]
    for event in (*events, *events):
        await all_of(ledger.submit("shop", event))
    ledger.wal._recent._keys.clear()  # as another process would meet them
    for event in events:
        await all_of(ledger.submit("shop", event))
    assert len(await ledger.stands()) == len(events)
