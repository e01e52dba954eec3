from datetime import UTC, datetime, timedelta

from core import schema
from core.ids import RequestId
from tests.backend.world import World, key_of

OLD = timedelta(minutes=10)


def age(world: World, collection: str, name: str, field: str) -> None:
    world.db.collection(collection).document(name).update({field: datetime.now(UTC) - OLD})


def test_rows_whose_trigger_was_lost_are_taken_up(world: World) -> None:
    chat = world.chat(thread=False)
    events = [world.receive(chat, f"m{n}") for n in range(3)]
    for event in events:
        age(world, schema.INGEST, event, "receivedAt")
    swept = world.services.sweep.run()
    assert swept.chats >= 1
    assert all(world.row(event)["processed"] for event in events)
    assert world.thread(chat)["unreadCountGlobal"] == 3


def test_what_is_young_belongs_to_its_trigger(world: World) -> None:
    chat = world.chat()
    event, request = world.receive(chat, "x"), world.write(chat)
    world.services.sweep.run()
    assert world.row(event)["processed"] is False
    assert "attempts" not in world.request(request)


def test_a_poisoned_row_is_marked_and_does_not_hold_up_the_rows_behind_it(world: World) -> None:
    chat = world.chat()
    poison = world.receive(chat, "x", payload={"kind": "sticker"}, accountId="a/b")
    good = world.receive(chat, "good")
    for event in (poison, good):
        age(world, schema.INGEST, event, "receivedAt")
    world.services.sweep.run()
    assert world.row(poison)["lastProcessError"].startswith("invalid_event: ")
    assert world.row(good)["lastProcessError"] is None


def test_an_early_receipt_is_tried_again_and_goes_on_waiting(world: World) -> None:
    chat = world.chat()
    event = world.receipt(chat, "EARLY", "read")
    age(world, schema.INGEST, event, "receivedAt")
    assert world.services.sweep.run().early >= 1
    assert world.row(event)["processed"] is False
    world.trigger_ingest(world.receive(chat, "typed", "EARLY", payload={"fromMe": True}))
    world.services.sweep.run()
    assert world.message(chat, "EARLY")["delivery"] == "read"


def test_a_request_that_bypassed_the_rules_and_lost_its_trigger_is_refused(world: World) -> None:
    chat = world.chat()
    bad, good = world.write(chat, threadId="a/b_c"), world.write(chat)
    for request in (bad, good):
        age(world, schema.OUTBOX, request, "createdAt")
    world.services.sweep.run()
    assert world.request(bad)["lastError"].startswith("invalid_request: ")
    world.wait_for(good, "sent")


def test_a_claim_whose_job_died_with_its_follow_up_is_made_good(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.hold_until(request, -1)
    age(world, schema.OUTBOX, request, "createdAt")
    world.services.sweep.run()
    world.wait_for(request, "sent")


def test_a_paused_accounts_queue_does_not_hide_the_others(world: World) -> None:
    """More requests than a page holds, all older than another account's only one."""
    paused = World(
        db=world.db,
        settings=world.settings,
        services=world.services,
        connector=world.connector,
        tasks=world.tasks,
        endpoint=world.endpoint,
    )
    paused.connect()
    paused.pause()
    crowded = paused.chat()
    waiting: list[RequestId] = [paused.write(crowded, f"m{n}") for n in range(220)]
    for request in waiting:
        age(paused, schema.OUTBOX, request, "createdAt")
    request = world.write(world.chat())
    reference = world.db.collection(schema.OUTBOX).document(request)
    reference.update({"createdAt": datetime.now(UTC) - OLD / 2})
    world.services.sweep.run()
    world.wait_for(request, "sent")
    assert world.connector.keys(world.account) == [key_of(request)]
    for left in waiting:
        paused.db.collection(schema.OUTBOX).document(left).delete()
