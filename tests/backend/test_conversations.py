"""startConversation: a thread that exists when its id is answered, and numbers that are looked up seldom."""

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import Aborted, AlreadyExists
from google.cloud.firestore import Query
from google.cloud.firestore_v1.base_query import FieldFilter

from backend.refusal import Refused
from backend.services import Services
from backend.stores import Document, Stored, Stores
from core import lookups, schema
from core.access import Person
from core.errors import ErrorCode
from core.ids import ThreadId, parse_thread_id
from tests.backend.refused_commits import refused
from tests.backend.scripted_connector import Answer
from tests.backend.world import World
from tests.waiting import wait_until

_numbers = itertools.count(40711000001)


class _Watched(Stores):
    """Counts the reads of look-up documents."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.db)
        self.reads = 0

    def documents(self, collection: str, document_ids: Iterable[str]) -> dict[str, Stored[Document]]:
        found = super().documents(collection, document_ids)
        self.reads += 1
        return found


def new_number(*, on_whatsapp: bool = True) -> str:
    """A number that no other test looks up, since the answer is stored for everybody until the end of the day."""
    number = next(each for each in _numbers if (each % 10 != 0) is on_whatsapp)
    return f"+{number}"


def somebody(world: World, name: str = "ana") -> Person:
    return Person(uid=f"{name}-{world.account}", email=f"{name}@example.com")


def start(world: World, phone: str, *, by: Person | None = None) -> ThreadId:
    return world.services.conversations.start(world.account, phone, by=by or somebody(world))


def exists(world: World, thread: ThreadId) -> bool:
    return bool(world.db.collection(schema.THREADS).document(thread).get().exists)


def looked_up(world: World) -> list[str]:
    return [phone for account, phone in world.connector.looked_up if account == world.account]


def outcome(services: Services, world: World, by: Person) -> ErrorCode | None:
    """The error that a person gets who begins a conversation with a new number; None: there was no error."""
    try:
        services.conversations.start(world.account, new_number(), by=by)
    except Refused as error:
        return error.code
    return None


def refusal(world: World, phone: str, *, by: Person | None = None) -> Refused:
    with pytest.raises(Refused) as raised:
        start(world, phone, by=by)
    return raised.value


def test_a_thread_that_is_answered_exists_although_firestore_gave_up_under_contention(world: World) -> None:
    with refused(Aborted("too much contention on these documents"), touching=schema.THREADS):
        thread = start(world, new_number())
    assert exists(world, thread)


def test_a_conversation_that_a_colleague_began_at_the_same_moment_is_the_same_one(world: World) -> None:
    phone = new_number()
    document = {"clientDisplayName": "Ion", "accountId": world.account}
    thread = ThreadId(f"{world.account}_99{phone[1:]}@lid")

    def begin() -> None:
        world.db.collection(schema.THREADS).document(thread).create(document)

    world.connector.lookups.append(Answer(before=begin))
    assert start(world, phone) == thread
    found = world.db.collection(schema.THREADS).document(thread).get().to_dict() or {}
    assert (found["clientDisplayName"], found["clientPhoneE164"]) == ("Ion", phone)


def test_a_number_is_looked_up_once_a_day_whoever_asks(world: World) -> None:
    phone, nobody = new_number(), new_number(on_whatsapp=False)
    thread = start(world, phone)
    world.db.collection(schema.THREADS).document(thread).delete()
    assert start(world, phone, by=somebody(world, "bob")) == thread
    assert exists(world, thread)
    for person in ("ana", "bob"):
        assert refusal(world, nobody, by=somebody(world, person)).code is ErrorCode.NOT_ON_WHATSAPP
    assert looked_up(world) == [phone, nobody]


def test_a_conversation_that_exists_needs_no_look_up_and_no_connection(world: World) -> None:
    phone = new_number()
    thread = start(world, phone)
    world.pause()
    assert start(world, phone) == thread
    assert len(looked_up(world)) == 1


def test_numbers_in_a_row_are_refused_with_a_clear_error_long_before_they_are_a_directory(world: World) -> None:
    answers = [outcome(world.services, world, somebody(world)) for _ in range(30)]
    assert answers.count(None) == 10
    assert set(answers[10:]) == {ErrorCode.LOOKUP_LIMIT}
    assert len(looked_up(world)) == 10
    assert "min" in refusal(world, new_number()).detail


def test_ten_people_of_one_account_look_up_no_more_than_the_account_may(world: World) -> None:
    people = [somebody(world, f"p{number}") for number in range(10)]
    answers = [outcome(world.services, world, person) for _ in range(4) for person in people]
    assert answers.count(None) == len(looked_up(world)) == 20
    assert set(answers) == {None, ErrorCode.LOOKUP_LIMIT}


def test_calls_at_the_same_time_spend_no_more_together(world: World, another_process: Callable[[], Services]) -> None:
    processes = [world.services, another_process()]
    people = [somebody(world, f"p{number}") for number in range(5)]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(outcome, processes[place % 2], world, people[place % 5]) for place in range(30)]
    answers = [each.result() for each in asked]
    assert answers.count(None) == len(looked_up(world)) == 20
    assert set(answers) == {None, ErrorCode.LOOKUP_LIMIT}


def test_two_who_ask_for_a_number_at_the_same_time_have_it_looked_up_once(
    world: World, another_process: Callable[[], Services]
) -> None:
    phone, other = new_number(), another_process()
    watched = _Watched(other.stores)
    object.__setattr__(other.conversations.lookups, "stores", watched)
    with ThreadPoolExecutor(1) as pool:
        asked: list[Future[ThreadId]] = []

        def ask_too() -> None:
            asked.append(pool.submit(other.conversations.start, world.account, phone, by=somebody(world, "bob")))
            wait_until(lambda: watched.reads > 1 or len(looked_up(world)) > 1, "the other waits, or asks too")

        world.connector.lookups.append(Answer(before=ask_too))
        thread = start(world, phone)
        assert asked[0].result() == thread
    assert looked_up(world) == [phone]


def test_a_look_up_that_failed_may_be_tried_again_at_once(world: World) -> None:
    phone = new_number()
    world.connector.lookups.append(Answer(status=503))
    assert refusal(world, phone).code is ErrorCode.CONNECTOR_UNREACHABLE
    assert exists(world, start(world, phone))


def test_an_account_without_a_session_looks_nothing_up_and_spends_nothing(world: World) -> None:
    """The connector waits for WhatsApp. A person who tries again must not get the error that too many numbers were looked up."""
    account, ana = world.db.collection(schema.ACCOUNTS).document(world.account), somebody(world)
    account.update({"status": "reconnecting"})
    answers = [outcome(world.services, world, ana) for _ in range(11)]
    assert set(answers) == {ErrorCode.NOT_CONNECTED}
    account.update({"status": "connected"})
    assert outcome(world.services, world, ana) is None


def test_a_look_up_whose_function_died_may_be_tried_again_after_a_while(world: World) -> None:
    phone, died_at = new_number(), datetime.now(UTC) - timedelta(seconds=lookups.ANSWER_LIMIT_S + 1)
    name = world.services.conversations.lookups._name_of_number(phone, datetime.now(UTC))
    fields = lookups.asked_fields(world.account, "uid", None, died_at)
    world.db.collection(schema.LOOKUPS).document(name).create(fields)
    assert exists(world, start(world, phone))


def test_who_had_a_number_looked_up_is_kept_under_an_id_that_does_not_show_the_number(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    phone, ana = new_number(), somebody(world)
    start(world, phone)
    kept = [
        (each.id, each.to_dict() or {})
        for each in world.db.collection(schema.LOOKUPS).stream()
        if (each.to_dict() or {}).get("accountId") == world.account
    ]
    ((name, entry),) = kept
    assert phone[1:] not in name
    assert (entry["askedByUid"], entry["askedByEmail"]) == (ana.uid, ana.email)
    assert entry["expireAt"] - entry["askedAt"] > timedelta(days=80)
    printed = capsys.readouterr().out
    assert "a person had a number looked up" in printed
    assert phone[1:] not in printed
    assert ana.uid not in printed


def test_an_account_that_does_not_exist_is_unknown(world: World) -> None:
    world.db.collection(schema.LEASES).document(world.account).delete()
    assert refusal(world, new_number()).code is ErrorCode.ACCOUNT_UNKNOWN


@pytest.mark.parametrize("error", [Aborted("contention"), AlreadyExists("lookups")])
def test_contention_on_a_share_spends_it_once(world: World, error: Exception) -> None:
    with refused(error, touching=schema.LOOKUPS):
        start(world, new_number())
    share = world.db.collection(schema.LOOKUPS).document(f"account_{world.account}").get().to_dict()
    assert share is not None
    assert share["spentUntil"] < datetime.now(UTC) + lookups.ACCOUNT_SHARE.interval


def test_a_conversation_that_was_started_is_at_the_top_of_the_list_until_another_moves(world: World) -> None:
    older = world.chat()
    world.trigger_ingest(world.receive(older, "hello"))
    started = start(world, new_number())
    assert list_of_threads(world) == [started, world.thread_id(older)]
    world.trigger_ingest(world.receive(older, "are you there?", at=datetime.now(UTC) + timedelta(seconds=1)))
    assert list_of_threads(world) == [world.thread_id(older), started]
    _, chat = parse_thread_id(started)
    request = world.write(chat, "Good morning", createdAt=datetime.now(UTC) + timedelta(seconds=2))
    world.accept(request)
    assert list_of_threads(world) == [started, world.thread_id(older)]
    assert world.thread(chat)["lastMessagePreview"] == "Good morning"


def list_of_threads(world: World) -> list[str]:
    """As clients show it: the last activity first."""
    of_account = world.db.collection(schema.THREADS).where(filter=FieldFilter("accountId", "==", world.account))
    return [found.id for found in of_account.order_by("lastMessageAt", direction=Query.DESCENDING).stream()]
