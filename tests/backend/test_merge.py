"""A chat that began under a number and whose contact's LID becomes known later: one thread, whatever arrives under which name."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.cloud.firestore import Query
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.accept import Acceptance
from backend.ingest import Ingest
from backend.services import Services
from backend.threads import Threads
from core import schema
from core.access import Person
from core.ids import ChatId
from core.thread import Thread, new_document
from tests.backend.contact import Contact
from tests.backend.interrupted import InterruptedStores
from tests.backend.world import World, key_of
from tests.waiting import wait_until

S = timedelta(seconds=1)


def begin(world: World, chat: ChatId) -> None:
    document = new_document(world.account, chat, Thread(), datetime.now(UTC))
    world.db.collection(schema.THREADS).document(world.thread_id(chat)).create(document)


def sent_texts(world: World) -> list[str]:
    return [str(post["text"]) for post in world.connector.posts_of(world.account)]


@pytest.fixture
def contact(world: World) -> Contact:
    return Contact(world)


def test_a_thread_under_a_number_becomes_one_with_the_thread_under_the_lid(world: World, contact: Contact) -> None:
    contact.writes(contact.number, "one")
    contact.writes(contact.lid, "two")
    assert contact.old["mergedInto"] == world.thread_id(contact.lid)
    assert contact.thread["mergedFrom"] == [world.thread_id(contact.number)]
    assert (contact.thread["unreadCountGlobal"], contact.thread["lastMessagePreview"]) == (2, "two")
    assert (contact.thread["clientPhoneE164"], contact.old["unreadCountGlobal"]) == (contact.phone, 0)
    assert contact.texts() == ["one", "two"]


def test_owner_lock_and_unknown_fields_survive(world: World, contact: Contact) -> None:
    owned = {"ownerUid": "ana", "ownerEmail": "ana@example.com", "coWriterUids": ["bob"], "locked": True, "later": 7}
    world.db.collection(schema.THREADS).document(world.thread_id(contact.number)).update(owned)
    contact.writes(contact.lid, "hello")
    assert {name: contact.thread[name] for name in owned} == owned


def test_two_threads_that_both_exist_are_joined(world: World, contact: Contact) -> None:
    contact.writes(contact.number, "one")
    world.receive(contact.lid, "two", payload={"chatJid": contact.lid, "chatOtherJid": ""})  # the number is not told
    world.trigger_ingest(world.receive(contact.lid, "three", payload={"chatJid": contact.lid, "chatOtherJid": ""}))
    world.services.ingest.drain(world.account, contact.lid)
    assert "mergedInto" not in contact.old or contact.old["mergedInto"] is None
    world.db.collection(schema.THREADS).document(world.thread_id(contact.number)).update({"ownerUid": "ana"})
    contact.writes(contact.lid, "four")
    assert contact.old["mergedInto"] == world.thread_id(contact.lid)
    assert (contact.thread["unreadCountGlobal"], contact.thread["ownerUid"]) == (4, "ana")


def test_what_comes_under_the_number_after_the_merge_goes_to_the_joined_thread(world: World, contact: Contact) -> None:
    contact.writes(contact.lid, "one")
    contact.writes(contact.number, "two")
    assert (contact.thread["unreadCountGlobal"], contact.thread["lastMessagePreview"]) == (2, "two")
    assert contact.texts() == ["one", "two"]
    assert contact.old["lastMessagePreview"] is None


def test_a_message_that_comes_again_under_the_other_name_stands_once(world: World, contact: Contact) -> None:
    contact.writes(contact.number, "one", "A1-in")
    contact.writes(contact.lid, "one", "A1-in")
    contact.writes(contact.lid, "two", "A2-in")
    contact.writes(contact.number, "two", "A2-in")
    assert contact.texts() == ["one", "two"]
    assert contact.thread["unreadCountGlobal"] == 2


def test_a_row_that_waits_under_the_number_while_the_threads_merge_stands_once(world: World, contact: Contact) -> None:
    waiting = contact.row(contact.number, "one", "A1-in")
    contact.writes(contact.lid, "one", "A1-in")
    world.trigger_ingest(waiting)
    assert contact.texts() == ["one"]
    assert world.row(waiting)["processed"] is True


def test_a_contact_whose_thread_stands_under_the_lid_gets_no_second_one_under_the_number(world: World) -> None:
    contact = Contact(world, thread=False)
    contact.writes(contact.lid, "one")
    contact.writes(contact.number, "two")
    assert not world.db.collection(schema.THREADS).document(world.thread_id(contact.number)).get().exists
    assert contact.thread["unreadCountGlobal"] == 2


def test_two_threads_that_were_opened_at_one_moment_become_one_with_the_next_message(world: World) -> None:
    """Each of two processes looked for the other name before the other one's commit."""
    contact = Contact(world, thread=False)
    contact.writes(contact.lid, "one")
    begin(world, contact.number)
    contact.writes(contact.number, "two")
    assert contact.old["mergedInto"] == world.thread_id(contact.lid)
    assert contact.thread["unreadCountGlobal"] == 2


def test_an_echo_and_receipts_under_the_lid_find_the_message_under_the_number(world: World, contact: Contact) -> None:
    request = world.write(contact.number)
    world.accept(request)
    contact.writes(contact.lid, "hello", key_of(request), fromMe=True)
    assert world.message(contact.number, key_of(request))["delivery"] == "sent"
    contact.receipt(contact.lid, request, "read")
    assert world.message(contact.number, key_of(request))["delivery"] == "read"
    assert contact.texts() == ["hello"]


def test_a_receipt_alone_finds_the_message_and_merges(world: World, contact: Contact) -> None:
    request = world.write(contact.number)
    world.accept(request)
    contact.receipt(contact.lid, request, "delivered")
    assert world.message(contact.number, key_of(request))["delivery"] == "delivered"
    assert contact.old["mergedInto"] == world.thread_id(contact.lid)


def test_a_receipt_under_the_number_finds_the_message_under_the_lid(world: World, contact: Contact) -> None:
    contact.writes(contact.lid, "one")
    request = world.write(contact.lid)
    world.accept(request)
    contact.receipt(contact.number, request, "read")
    assert world.message(contact.lid, key_of(request))["delivery"] == "read"


def test_a_request_under_the_number_moves_the_joined_thread(world: World, contact: Contact) -> None:
    contact.writes(contact.lid, "question")
    request = world.write(contact.number, "answer")
    assert world.trigger_outbox(request) is Acceptance.ACCEPTED
    assert (contact.thread["unreadCountGlobal"], contact.thread["lastMessagePreview"]) == (0, "answer")
    assert world.message(contact.number, key_of(request))["threadId"] == world.thread_id(contact.number)
    world.wait_for(request, "sent")


def test_a_reply_under_the_number_that_fails_makes_the_question_unread_again(world: World, contact: Contact) -> None:
    contact.writes(contact.lid, "question")
    request = world.write(contact.number, "answer", createdByUid="ana")
    world.accept(request)
    assert contact.thread["unreadCountGlobal"] == 0
    contact.refuses(contact.number, request, world.services.stores)
    assert contact.thread["unreadCountGlobal"] == 1


def test_a_late_reply_leaves_unread_what_came_after_it_under_either_name(world: World, contact: Contact) -> None:
    began = datetime.now(UTC) - 60 * S
    contact.wrote(contact.number, "one", began)
    contact.wrote(contact.number, "two", began + 10 * S)
    contact.wrote(contact.lid, "three", began + 20 * S)
    world.accept(world.write(contact.lid, "to the first", createdAt=began + 5 * S))
    assert contact.thread["unreadCountGlobal"] == 2


def test_a_reply_that_fails_leaves_read_what_an_earlier_one_under_the_number_answered(
    world: World, contact: Contact
) -> None:
    began = datetime.now(UTC) - 60 * S
    contact.wrote(contact.number, "one", began)
    world.accept(world.write(contact.number, "answer", createdAt=began + 5 * S))
    contact.wrote(contact.number, "two", began + 10 * S)
    contact.wrote(contact.lid, "three", began + 15 * S)
    last = world.write(contact.lid, "to both", createdAt=began + 20 * S)
    world.accept(last)
    assert contact.thread["unreadCountGlobal"] == 0
    contact.refuses(contact.lid, last, world.services.stores)
    assert contact.thread["unreadCountGlobal"] == 2


def test_requests_under_both_names_leave_in_the_order_in_which_they_were_written(
    world: World, contact: Contact
) -> None:
    first = world.write(contact.number, "1")
    contact.writes(contact.lid, "hello")
    second = world.write(contact.lid, "2")
    third = world.write(contact.number, "3")
    fourth = world.write(contact.lid, "4")
    requests = [first, second, third, fourth]
    for request in requests:
        world.accept(request)
    world.send_job(contact.lid)
    world.send_job(contact.number)
    assert sent_texts(world) == ["1", "2", "3", "4"]
    assert [world.request(request)["attempts"] for request in requests] == [1, 1, 1, 1]


def test_a_head_that_a_job_of_the_other_name_holds_gets_a_job_for_the_end_of_its_claim(
    world: World, contact: Contact
) -> None:
    first = world.write(contact.number, "1")
    world.accept(first)
    contact.writes(contact.lid, "hello")
    second = world.write(contact.lid, "2")
    world.accept(second)
    world.hold_until(first, 1.0)
    world.send_job(contact.lid)
    assert world.request(second)["status"] == "queued"
    world.wait_for(second, "sent")
    assert sent_texts(world) == ["1", "2"]


def listed(world: World, **equal: object) -> list[str]:
    """What a client's list shows: those of docs/clients.md are all sorted by `lastMessageAt`."""
    query = world.db.collection(schema.THREADS).where(filter=FieldFilter("accountId", "==", world.account))
    for name, value in equal.items():
        query = query.where(filter=FieldFilter(name, "==", value))
    return [snapshot.id for snapshot in query.order_by("lastMessageAt", direction=Query.DESCENDING).stream()]


def test_a_list_shows_the_joined_thread_alone_and_counts_it_once(world: World, contact: Contact) -> None:
    world.db.collection(schema.THREADS).document(world.thread_id(contact.number)).update({"ownerUid": "ana"})
    contact.writes(contact.number, "one")
    assert listed(world, ownerUid="ana") == [world.thread_id(contact.number)]
    contact.writes(contact.lid, "two")
    contact.writes(contact.number, "three")
    world.accept(world.write(contact.number))
    assert listed(world) == listed(world, ownerUid="ana") == [world.thread_id(contact.lid)]


def test_an_open_list_loses_the_former_thread_when_the_joined_one_appears(world: World, contact: Contact) -> None:
    """As an employee's listener sees it: at no moment both."""
    contact.writes(contact.number, "one")
    query = world.db.collection(schema.THREADS).where(filter=FieldFilter("accountId", "==", world.account))
    shown: list[list[str]] = []
    listener = query.order_by("lastMessageAt").on_snapshot(
        lambda snapshots, *_: shown.append([each.id for each in snapshots])
    )
    try:
        wait_until(lambda: shown, "the list is shown")
        contact.writes(contact.lid, "two")
        wait_until(lambda: shown[-1] == [world.thread_id(contact.lid)], "the joined thread is shown alone")
    finally:
        listener.unsubscribe()
    assert all(len(ids) == 1 for ids in shown)


def test_a_conversation_with_a_number_that_was_merged_is_the_joined_one(world: World, contact: Contact) -> None:
    contact.writes(contact.lid, "one")
    by = Person(uid="ana", email="ana@example.com")
    assert world.services.conversations.start(world.account, contact.phone, by=by) == world.thread_id(contact.lid)


def test_a_number_that_changes_is_noted(world: World) -> None:
    contact = Contact(world, thread=False)
    contact.writes(contact.lid, "one")
    contact.number = ChatId("40799123123@s.whatsapp.net")
    contact.writes(contact.lid, "two")
    assert contact.thread["clientPhoneE164"] == "+40799123123"
    contact.writes(contact.lid, "three", chatOtherJid="")
    assert contact.thread["clientPhoneE164"] == "+40799123123"


def test_a_merge_that_meets_another_commit_is_made_again(
    world: World, contact: Contact, another_process: Callable[[], Services]
) -> None:
    """The old thread gets a message between the merge's read and its commit."""
    slow = another_process()
    waits = InterruptedStores(slow.stores, lambda: contact.writes(contact.number, "two"))
    ingest = replace(slow.ingest, stores=waits, threads=Threads(stores=waits))
    world.trigger_ingest(contact.row(contact.lid, "one"), ingest)
    assert sorted(contact.texts()) == ["one", "two"]
    assert contact.thread["unreadCountGlobal"] == 2


def test_many_workers_merge_once(world: World, contact: Contact, another_process: Callable[[], Services]) -> None:
    contact.writes(contact.number, "0")
    rows = [contact.row(contact.lid if n % 2 else contact.number, str(n)) for n in range(1, 9)]
    workers: list[Ingest] = [another_process().ingest for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(world.trigger_ingest, row, workers[n % 4]) for n, row in enumerate(rows)]:
            job.result()
    assert sorted(contact.texts()) == [str(n) for n in range(9)]
    assert contact.thread["unreadCountGlobal"] == 9
    assert contact.thread["mergedFrom"] == [world.thread_id(contact.number)]
