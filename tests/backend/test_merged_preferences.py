"""A user's preferences of a thread that becomes part of another one are the other one's from then on: whatever stops the functions meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core.exceptions import Aborted, ServiceUnavailable
from google.cloud.firestore import Client

from backend.preferences import Preferences
from backend.services import Services
from backend.stores import Commit
from backend.threads import Threads
from core import schema
from core.ids import ChatId, ThreadId
from tests.backend.contact import Contact
from tests.backend.interrupted import InterruptedStores
from tests.backend.refused_commits import refused
from tests.backend.world import World

USERS = ["ana", "bob", "dan"]
PINNED = {"pinned": True, "customLabel": "VIP", "lastReadAt": datetime(2026, 1, 1, 9, tzinfo=UTC)}


def prefs(world: World, uid: str, chat: ChatId) -> dict[str, Any] | None:
    return world.db.collection(schema.prefs_of(uid)).document(world.thread_id(chat)).get().to_dict()


def prefer(world: World, uid: str, chat: ChatId, **fields: Any) -> None:
    world.db.collection(schema.prefs_of(uid)).document(world.thread_id(chat)).set(fields)


@pytest.fixture
def contact(world: World) -> Contact:
    """With each user's preferences of the thread under the number, among preferences of threads before and behind it."""
    found = Contact(world)
    others = [ChatId("10000000001@s.whatsapp.net"), found.number, ChatId("99999999999@s.whatsapp.net")]
    for uid in (f"{world.account}-{name}" for name in USERS):
        for chat in others:
            prefer(world, uid, chat, **PINNED)
    prefer(world, f"{world.account}-carl", others[2], **PINNED)
    prefer(world, f"{world.account}-cleo", others[0], **PINNED)
    return found


def assert_moved(world: World, contact: Contact) -> None:
    for uid in (f"{world.account}-{name}" for name in USERS):
        assert prefs(world, uid, contact.lid) == PINNED
        assert prefs(world, uid, contact.number) is None
        assert prefs(world, uid, ChatId("10000000001@s.whatsapp.net")) == PINNED
        assert prefs(world, uid, ChatId("99999999999@s.whatsapp.net")) == PINNED
    for name in ("carl", "cleo"):
        assert prefs(world, f"{world.account}-{name}", contact.lid) is None


def test_each_users_preferences_are_those_of_the_joined_thread(world: World, contact: Contact) -> None:
    contact.writes(contact.lid, "hello")
    assert_moved(world, contact)


def test_a_user_who_has_preferences_of_both_threads_loses_none(world: World, contact: Contact) -> None:
    uid = f"{world.account}-ana"
    contact.writes(contact.number, "one")
    prefer(world, uid, contact.lid, muted=True, pinned=False, customLabel="Ana")
    contact.writes(contact.lid, "two")
    assert prefs(world, uid, contact.lid) == {**PINNED, "muted": True, "customLabel": "Ana"}
    assert prefs(world, uid, contact.number) is None


@pytest.mark.parametrize("error", [Aborted("contention"), ServiceUnavailable("gone")])
def test_a_merge_that_is_not_committed_leaves_all_preferences_where_they_are(
    world: World, contact: Contact, error: Exception
) -> None:
    """The next attempt moves them with the merge."""
    event = contact.row(contact.lid, "hello")
    with refused(error, touching=schema.PREFS):
        try:
            world.trigger_ingest(event)
        except ServiceUnavailable:
            assert prefs(world, f"{world.account}-ana", contact.number) == PINNED
            assert prefs(world, f"{world.account}-ana", contact.lid) is None
            world.trigger_ingest(event)
    assert_moved(world, contact)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moved", range(len(USERS) + 1))
def test_a_process_killed_between_two_users_leaves_the_move_to_the_next(
    world: World, contact: Contact, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    event, real, places = contact.row(contact.lid, "hello"), Commit.delete, iter(range(100))

    def killed(commit: Commit, *place: Any, **options: Any) -> None:
        if next(places) == moved:
            raise Killed
        real(commit, *place, **options)

    def killed_at_commit(commit: Commit) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Commit, "delete", killed)
        if moved == len(USERS):
            patch.setattr(Commit, "run", killed_at_commit)
        with pytest.raises(Killed):
            world.trigger_ingest(event)
    assert prefs(world, f"{world.account}-ana", contact.number) == PINNED
    world.trigger_ingest(event)
    assert_moved(world, contact)
    assert contact.texts() == ["hello"]


def test_a_repetition_after_a_commit_whose_answer_was_lost_changes_nothing(
    world: World, contact: Contact, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, real = contact.row(contact.lid, "hello"), Commit.run

    def killed(commit: Commit) -> None:
        real(commit)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Commit, "run", killed)
        with pytest.raises(Killed):
            world.trigger_ingest(event)
    assert_moved(world, contact)
    world.trigger_ingest(event)
    assert_moved(world, contact)
    assert contact.texts() == ["hello"]


def test_what_a_user_sets_while_the_threads_merge_is_kept(
    world: World, contact: Contact, another_process: Callable[[], Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user mutes the thread under the number after the merge has read it, and before the merge is committed."""
    uid, real, once = f"{world.account}-ana", Preferences.add_move, iter([True])

    def add_move(moves: Preferences, commit: Commit, former: ThreadId, into: ThreadId) -> None:
        real(moves, commit, former, into)
        if next(once, False):
            prefer(world, uid, contact.number, **PINNED, muted=True)

    with monkeypatch.context() as patch:
        patch.setattr(Preferences, "add_move", add_move)
        world.trigger_ingest(contact.row(contact.lid, "hello"))
    assert prefs(world, uid, contact.lid) == {**PINNED, "muted": True}
    assert prefs(world, uid, contact.number) is None


def test_preferences_beside_those_of_users_are_left_alone(db: Client, world: World, contact: Contact) -> None:
    """Another application's collections of the same name: beside the users, and below a user's other collections."""
    at = world.thread_id(contact.number)
    beside = [
        db.document(f"teams/t/{schema.PREFS}/{at}"),
        db.document(f"zones/z/{schema.PREFS}/{at}"),
        db.document(f"users/{world.account}-ana/a/b/{schema.PREFS}/{at}"),
        db.document(f"users/{world.account}-ana/z/b/{schema.PREFS}/{at}"),
    ]
    for document in beside:
        document.set(PINNED)
    contact.writes(contact.lid, "hello")
    assert_moved(world, contact)
    assert [document.get().to_dict() for document in beside] == [PINNED] * len(beside)


def test_a_merge_that_meets_another_commit_moves_them_once(
    world: World, contact: Contact, another_process: Callable[[], Services]
) -> None:
    slow = another_process()
    waits = InterruptedStores(slow.stores, lambda: contact.writes(contact.lid, "two"))
    ingest = replace(slow.ingest, stores=waits, threads=Threads(stores=waits))
    world.trigger_ingest(contact.row(contact.lid, "one"), ingest)
    assert_moved(world, contact)
    assert sorted(contact.texts()) == ["one", "two"]
