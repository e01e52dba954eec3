"""Two threads become one while another process is at work on one of them: neither undoes what the other has committed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.accept import Acceptance
from backend.ingest import Ingest
from backend.send_queue import Job
from backend.services import Services
from backend.stores import Conflict, Stores, stored_as
from backend.threads import Threads
from core import schema
from tests.backend.contact import Contact
from tests.backend.interrupted import InterruptedDocument, InterruptedMessage, InterruptedStores
from tests.backend.world import World, key_of

Another = Callable[[], Services]


@pytest.fixture
def contact(world: World) -> Contact:
    return Contact(world)


def ingest_on(services: Services, stores: Stores) -> Ingest:
    return replace(services.ingest, stores=stores, threads=Threads(stores=stores))


def change(world: World, contact: Contact, **fields: object) -> None:
    """As a callable or an operator changes the thread under the number."""
    world.db.collection(schema.THREADS).document(world.thread_id(contact.number)).update(fields)


def test_a_thread_that_is_locked_while_it_is_merged_stays_locked(
    world: World, contact: Contact, another_process: Another
) -> None:
    """The lock comes between the merge's read and its commit."""
    slow = another_process()
    lock = {"locked": True, "lockedReason": "a complaint", "ownerUid": "ana"}
    stores = InterruptedDocument(slow.stores, lambda: change(world, contact, **lock))
    world.trigger_ingest(contact.row(contact.lid, "one"), ingest_on(slow, stores))
    assert {name: contact.thread[name] for name in lock} == lock


def test_an_owner_of_the_joined_thread_that_comes_while_it_is_merged_stays(
    world: World, contact: Contact, another_process: Another
) -> None:
    contact.writes(contact.number, "zero")
    contact.writes(contact.lid, "one", chatOtherJid="")  # the number is not told yet
    slow = another_process()
    joined = world.db.collection(schema.THREADS).document(world.thread_id(contact.lid))
    stores = InterruptedDocument(slow.stores, lambda: joined.update({"ownerUid": "ana"}), reads=2)
    world.trigger_ingest(contact.row(contact.lid, "two"), ingest_on(slow, stores))
    assert (contact.thread["ownerUid"], contact.old["mergedInto"]) == ("ana", world.thread_id(contact.lid))


def test_a_message_under_the_number_that_meets_the_merge_moves_the_joined_thread(
    world: World, contact: Contact, another_process: Another
) -> None:
    """Its process has read the thread under the number, when another one merges it."""
    slow = another_process()
    stores = InterruptedStores(slow.stores, lambda: contact.writes(contact.lid, "one"))
    world.trigger_ingest(contact.row(contact.number, "two"), ingest_on(slow, stores))
    assert contact.texts() == ["two", "one"]
    assert (contact.thread["unreadCountGlobal"], contact.old["unreadCountGlobal"]) == (2, 0)
    assert contact.old["lastMessagePreview"] is None


def test_a_reply_that_meets_the_merge_moves_the_joined_thread(
    world: World, contact: Contact, another_process: Another
) -> None:
    """The contact asks, and the same commit merges; the reply's process has read the thread before."""
    slow = another_process()
    request = world.write(contact.number, "answer")
    stores = InterruptedStores(slow.stores, lambda: contact.writes(contact.lid, "question"))
    stored = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
    assert replace(slow.accept, stores=stores).new_request(stored) is Acceptance.ACCEPTED
    assert contact.old["lastMessagePreview"] is None
    message = world.message(contact.number, key_of(request))
    assert message["queueThreadIds"] == [world.thread_id(contact.lid), world.thread_id(contact.number)]


def test_a_failure_that_meets_the_merge_makes_the_question_unread_in_the_joined_thread(
    world: World, contact: Contact, another_process: Another
) -> None:
    contact.writes(contact.number, "question")
    request = world.write(contact.number, "answer")
    world.accept(request)
    stores = InterruptedStores(another_process().stores, lambda: contact.writes(contact.lid, "again"))
    with pytest.raises(Conflict):
        contact.refuses(contact.number, request, stores)
    contact.refuses(contact.number, request, stores)
    assert (contact.thread["unreadCountGlobal"], contact.old["unreadCountGlobal"]) == (2, 0)


def test_two_processes_that_merge_at_the_same_moment_merge_once(
    world: World, contact: Contact, another_process: Another
) -> None:
    """Both have read both threads. Each has a row of its own; nothing of either is lost or counted twice."""
    contact.writes(contact.number, "zero")
    slow = another_process()
    stores = InterruptedDocument(slow.stores, lambda: contact.writes(contact.lid, "one"))
    world.trigger_ingest(contact.row(contact.lid, "two"), ingest_on(slow, stores))
    assert sorted(contact.texts()) == ["one", "two", "zero"]
    assert contact.thread["unreadCountGlobal"] == 3
    assert contact.thread["mergedFrom"] == [world.thread_id(contact.number)]


def test_a_merge_that_was_committed_without_an_answer_is_not_made_again(
    world: World, contact: Contact, another_process: Another
) -> None:
    """The process died between the commit and its answer: the row's event comes again, as it was."""
    contact.writes(contact.number, "one")
    row = contact.row(contact.lid, "two")
    event = stored_as(world.db.collection(schema.INGEST).document(row).get(), dict)
    world.services.ingest.take(event.id, event.value, event.update_time)
    request = world.write(contact.lid, "answer")
    world.accept(request)
    before = (contact.thread, contact.old)
    another_process().ingest.take(event.id, event.value, event.update_time)
    assert (contact.thread, contact.old) == before


def test_a_number_that_passes_to_another_person_takes_no_history_along(world: World, contact: Contact) -> None:
    contact.writes(contact.number, "from the first person")
    contact.writes(contact.lid, "still the first person")
    second = Contact(world, thread=False)
    second.number = contact.number
    second.writes(second.lid, "from the second person")
    assert contact.old["mergedInto"] == world.thread_id(contact.lid)
    assert (second.thread["unreadCountGlobal"], second.thread["mergedFrom"]) == (1, [])
    assert contact.thread["unreadCountGlobal"] == 2


def test_rights_of_the_former_thread_do_not_come_back_when_the_number_does(world: World, contact: Contact) -> None:
    """The thread is locked when it is merged, and unlocked later; the contact changes the number, and changes it back."""
    first, second = contact.number, world.chat(thread=False)
    change(world, contact, locked=True)
    contact.writes(contact.lid, "one")
    world.db.collection(schema.THREADS).document(world.thread_id(contact.lid)).update({"locked": False})
    for number in (second, first):
        contact.number = number
        contact.writes(contact.lid, f"from {number}")
    assert contact.thread["locked"] is False


def test_a_claim_that_was_lost_meanwhile_is_not_given_back(
    world: World, contact: Contact, another_process: Another
) -> None:
    """A job under the LID finds that the thread has a former name. Its claim has run out by then, and another job has the request."""
    first = world.write(contact.number, "1")
    world.accept(first)
    contact.writes(contact.lid, "hello")
    second = world.write(contact.lid, "2")
    world.accept(second)
    world.hold_until(first, 60)
    slow = another_process()
    stores = InterruptedMessage(slow.stores, lambda: world.hold_until(second, 60))
    replace(slow.send, stores=stores).run(Job(thread_id=world.thread_id(contact.lid)), is_retry=False)
    assert world.request(second)["status"] == "sending"
