"""One queue, one order, one send: whatever is doubled, lost, killed or unknown on the way."""

import dataclasses
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from google.cloud.firestore import Client

from backend.accept import Acceptance
from backend.send import JobEnd
from backend.send_queue import Job
from backend.services import Services
from backend.settings import Settings
from backend.stores import stored_as
from core import schema
from core.ids import ChatId, RequestId
from core.outbox import MAX_ATTEMPTS
from local.cloud_tasks.trouble import TroubleKind
from local.processes import Processes
from local.project import PYTHONPATH
from tests.backend.interrupted import InterruptedStores
from tests.backend.scripted_connector import Answer
from tests.backend.world import World, key_of
from tests.waiting import wait_until

CLAIM_S = 3.0


_CLIENT_FIELDS = {
    "threadId", "accountId", "chatId", "to", "text", "clientMessageId", "createdByUid", "createdByEmail", "createdAt",
}  # fmt: skip


def test_a_request_becomes_a_sent_message_under_the_id_that_follows_from_it(world: World) -> None:
    chat = world.chat()
    request = world.write(chat, "On its way.")
    world.trigger_outbox(request)
    document = world.wait_for(request, "sent")

    assert world.connector.keys(world.account) == [key_of(request)]
    assert (document["attempts"], document["waMessageKey"], document["lastError"]) == (1, key_of(request), None)
    assert document["dedupeKey"] == request.rpartition("_")[2]
    message = world.message(chat, key_of(request))
    assert (message["delivery"], message["senderUid"], message["requestId"]) == ("sent", "uid-1", request)
    assert message["writtenAt"] == document["createdAt"]
    assert message["timestamp"] == max(document["createdAt"], document["lastTriedAt"])
    assert world.thread(chat)["lastMessagePreview"] == "On its way."


def test_redelivered_triggers_and_jobs_change_nothing(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    born = stored_as(world.db.collection(schema.OUTBOX).document(request).get(), dict)
    world.trigger_outbox(request)
    world.wait_for(request, "sent")
    world.trigger_ingest(world.receive(chat, "an answer"))
    before = world.request(request), world.message(chat, key_of(request)), world.thread(chat)

    assert world.services.accept.new_request(born) is Acceptance.ENDED
    assert world.send_job(chat, is_retry=True) is JobEnd.QUEUE_EMPTY
    assert (world.request(request), world.message(chat, key_of(request)), world.thread(chat)) == before
    assert world.connector.keys(world.account) == [key_of(request)]


def test_an_older_reply_leaves_a_question_unread_that_came_while_it_was_accepted(
    world: World, another_process: Callable[[], Services]
) -> None:
    """A newer reply exists, so that neither preview nor count change by the older one as it reads the thread."""
    chat = world.chat()
    older, newer = world.write(chat), world.write(chat)
    world.accept(newer)
    arrives = world.receive(chat, "a question")
    slow = another_process()
    stores = InterruptedStores(slow.stores, lambda: world.trigger_ingest(arrives))
    stored = stored_as(world.db.collection(schema.OUTBOX).document(older).get(), dict)
    assert dataclasses.replace(slow.accept, stores=stores).new_request(stored) is Acceptance.ACCEPTED
    assert world.thread(chat)["unreadCountGlobal"] == 1


def test_the_order_of_writing_holds_when_the_second_requests_trigger_comes_first(world: World) -> None:
    chat = world.chat()
    first, second = world.write(chat, "first"), world.write(chat, "second")
    world.trigger_outbox(second)
    world.wait_for(second, "sent")
    assert world.connector.keys(world.account) == [key_of(first), key_of(second)]
    assert world.message(chat, key_of(first))["text"] == "first"


def test_requests_of_the_same_millisecond_leave_in_the_order_of_their_client_message_ids(world: World) -> None:
    chat = world.chat()
    batch = world.db.batch()
    created: list[tuple[str, RequestId]] = []
    for _ in range(5):
        request = world.write(chat)
        document = world.request(request)
        at = world.request(created[0][1])["createdAt"] if created else document["createdAt"]
        batch.update(world.db.collection(schema.OUTBOX).document(request), {"createdAt": at})
        created.append((document["clientMessageId"], request))
    batch.commit()
    world.send_job(chat)
    assert world.connector.keys(world.account) == [key_of(request) for _, request in sorted(created)]


def test_two_jobs_at_once_send_each_request_once_and_in_order(
    world: World, another_process: Callable[[], Services]
) -> None:
    chat = world.chat()
    requests = [world.write(chat, f"m{n}") for n in range(12)]
    processes = [world.services, another_process(), another_process()]
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(processes[n % 3].send.run, _job(world, chat), is_retry=n % 2 == 1) for n in range(6)]
        for job in jobs:
            job.result()
    for request in requests:
        world.wait_for(request, "sent")
    assert world.connector.keys(world.account) == [key_of(request) for request in requests]
    assert {world.request(request)["attempts"] for request in requests} == {1}


def test_a_held_head_is_left_alone_by_other_jobs(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    world.hold_until(request, CLAIM_S)
    assert world.send_job(chat) is JobEnd.HEAD_HELD
    assert world.connector.keys(world.account) == []


def test_a_worker_whose_claim_runs_out_while_it_waits_does_not_send_twice_or_late(world: World) -> None:
    """Its answer is lost; another job tries the same id again after the claim, and only then does the next message leave."""
    chat = world.chat()
    first, second = world.write(chat, "first"), world.write(chat, "second")
    world.connector.script(key_of(first), Answer(waits_after_wire_s=CLAIM_S + 1))
    world.trigger_outbox(first)
    world.wait_for(second, "sent")
    assert world.connector.keys(world.account) == [key_of(first), key_of(first), key_of(second)]
    assert world.request(first)["status"] == "sent"
    assert world.request(first)["attempts"] == 2


def test_nothing_leaves_after_not_after(world: World) -> None:
    """A connector that has been slow finds notAfter passed: the frame must not leave beside the next attempt's."""
    chat = world.chat()
    request = world.write(chat)
    slow_ended = threading.Event()
    world.connector.script(key_of(request), Answer(waits_before_wire_s=CLAIM_S, after=slow_ended.set))
    world.trigger_outbox(request)
    world.wait_for(request, "sent")
    assert slow_ended.wait(10)
    assert world.connector.keys(world.account) == [key_of(request)]


def test_a_job_killed_while_it_sends_is_taken_up_at_its_claims_end(
    world: World, settings: Settings, processes: Processes
) -> None:
    chat = world.chat()
    first, second = world.write(chat, "first"), world.write(chat, "second")
    on_wire = threading.Event()
    world.connector.script(key_of(first), Answer(before=on_wire.set, waits_after_wire_s=CLAIM_S))
    fields = {**settings.environment, "CONNECTOR_ENDPOINTS": world.endpoint, "thread": world.thread_id(chat)}
    job = processes.spawn(
        "killed-job",
        [sys.executable, "-m", "tests.backend.killed_job", json.dumps(fields)],
        environment={"PYTHONPATH": PYTHONPATH},
    )
    assert on_wire.wait(20)
    processes.kill(job)

    assert world.send_job(chat, is_retry=True) is JobEnd.HEAD_HELD  # Cloud Tasks tries the broken job again
    world.wait_for(second, "sent")
    assert world.connector.keys(world.account) == [key_of(first), key_of(first), key_of(second)]
    assert world.request(first)["status"] == "sent"


def test_a_failed_head_frees_its_chat(world: World) -> None:
    chat = world.chat()
    first, second = world.write(chat), world.write(chat)
    world.connector.script(key_of(first), Answer(outcome="rejected", reason="463", reaches_wire=False))
    world.trigger_outbox(first)
    world.wait_for(second, "sent")
    failed = world.request(first)
    assert failed["status"] == "failed"
    assert failed["lastError"].startswith("rejected: ")
    assert "463" in failed["lastError"]
    message = world.message(chat, key_of(first))
    assert (message["delivery"], message["error"]) == ("failed", failed["lastError"])


def test_a_number_that_is_not_on_whatsapp_is_named_as_such(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(outcome="rejected", reason="no_account", reaches_wire=False))
    world.trigger_outbox(request)
    assert world.wait_for(request, "failed")["lastError"].startswith("not_on_whatsapp: ")


def test_a_lost_task_is_made_good_by_the_sweeper(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.tasks.trouble(TroubleKind.LOSE)
    world.trigger_outbox(request)
    _age(world, request)
    world.services.sweep.run()
    world.wait_for(request, "sent")


def test_a_lost_trigger_is_made_good_by_the_sweeper_while_the_account_is_paused(world: World) -> None:
    """The message and the preview appear although nothing can be sent yet."""
    chat = world.chat()
    request = world.write(chat, "seen at once")
    world.pause()
    _age(world, request)
    world.services.sweep.run()
    assert world.message(chat, key_of(request))["delivery"] == "queued"
    assert world.thread(chat)["lastMessagePreview"] == "seen at once"
    assert world.request(request)["status"] == "queued"


def test_an_unknown_outcome_says_so_and_is_tried_again_under_the_same_id(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    seen: list[Any] = []
    note = Answer(before=lambda: seen.append(world.request(request)))
    world.connector.script(key_of(request), Answer(outcome="unknown"), note)
    world.trigger_outbox(request)
    world.wait_for(request, "sent")
    assert world.connector.keys(world.account) == [key_of(request)] * 2
    assert seen[0]["status"] == "sending"
    assert seen[0]["lastError"].startswith("outcome_unknown: ")


def test_a_receipt_resolves_an_unknown_outcome_without_another_send(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(outcome="unknown"))
    world.accept(request)
    world.send_job(chat)
    assert world.request(request)["status"] == "sending"
    world.trigger_ingest(world.receipt(chat, key_of(request), "delivered"))
    world.wait_for(request, "sent")
    assert world.message(chat, key_of(request))["delivery"] == "delivered"
    assert world.connector.keys(world.account) == [key_of(request)]


def test_a_receipt_that_overtakes_the_sends_answer_is_not_undone_by_it(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)

    def receipt() -> None:
        world.trigger_ingest(world.receipt(chat, key_of(request), "read"))

    world.connector.script(key_of(request), Answer(before=receipt))
    world.send_job(chat)
    assert world.message(chat, key_of(request))["delivery"] == "read"
    assert world.request(request)["status"] == "sent"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500),
        Answer(breaks=True),
        Answer(body="<html>"),
        Answer(body='{"outcome": "perhaps"}'),
        Answer(body="[]"),
    ],
    ids=["500", "broken", "not json", "unknown word", "no object"],
)
def test_an_answer_that_proves_nothing_leaves_the_claim_to_its_end(world: World, answer: Answer) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), answer)
    world.accept(request)
    world.send_job(chat)
    held = world.request(request)
    assert held["status"] == "sending"
    assert held["claimUntil"] - held["lastTriedAt"] >= timedelta(seconds=CLAIM_S - 0.1)
    assert held["lastError"].startswith("outcome_unknown: ")
    world.wait_for(request, "sent")


def test_at_the_limit_the_unknown_fails_alerts_once_and_frees_its_chat_and_proof_still_makes_it_sent(
    world: World,
) -> None:
    chat = world.chat()
    first, second = world.write(chat), world.write(chat)
    world.connector.script(key_of(first), Answer(outcome="unknown"))
    world.accept(first)
    world.db.collection(schema.OUTBOX).document(first).update({"attempts": MAX_ATTEMPTS - 1})
    world.send_job(chat)
    assert world.request(first)["lastError"].startswith("outcome_unknown: ")
    assert world.request(first)["status"] == "failed"
    assert world.message(chat, key_of(first))["delivery"] == "failed"
    assert world.request(second)["status"] == "sent"
    assert [alert["type"] for alert in world.alerts()] == ["outcome_unknown"]

    world.trigger_ingest(world.receipt(chat, key_of(first), "delivered"))
    assert world.message(chat, key_of(first))["delivery"] == "delivered"
    assert world.message(chat, key_of(first))["error"] is None
    assert (world.request(first)["status"], world.request(first)["lastError"]) == ("sent", None)


def test_a_last_attempt_without_an_answer_is_failed_only_when_its_frame_can_no_longer_leave(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(status=500))
    world.accept(request)
    world.db.collection(schema.OUTBOX).document(request).update({"attempts": MAX_ATTEMPTS - 1})
    world.send_job(chat)
    assert world.request(request)["status"] == "sending"
    assert world.wait_for(request, "failed")["attempts"] == MAX_ATTEMPTS
    assert len(world.connector.posts_of(world.account)) == 1


def test_what_did_not_leave_is_queued_again(world: World) -> None:
    chat = world.chat()
    request = world.write(chat)
    world.connector.script(key_of(request), Answer(outcome="not_sent", reason="socket closed", reaches_wire=False))
    world.trigger_outbox(request)
    assert world.wait_for(request, "sent")["attempts"] == 2
    assert world.connector.keys(world.account) == [key_of(request)]


def test_a_replay_after_its_request_has_expired_sends_nothing_twice(world: World, db: Client) -> None:
    chat = world.chat()
    request = world.write(chat, "once")
    world.accept(request)
    world.send_job(chat)
    reference = db.collection(schema.OUTBOX).document(request)
    kept = {name: value for name, value in world.request(request).items() if name in _CLIENT_FIELDS}
    reference.delete()
    reference.create(kept | {"status": "queued"})
    assert world.trigger_outbox(request) is Acceptance.ENDED
    assert world.request(request)["status"] == "sent"
    assert world.connector.keys(world.account) == [key_of(request)]


def test_a_backlog_leaves_in_order_within_one_job(world: World) -> None:
    chat = world.chat()
    requests = [world.write(chat, f"m{n}") for n in range(25)]
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY
    assert world.connector.keys(world.account) == [key_of(request) for request in requests]
    wait_until(lambda: all(world.request(r)["status"] == "sent" for r in requests), "all are sent")


def _job(world: World, chat: ChatId) -> Job:
    return Job(thread_id=world.thread_id(chat))


def _age(world: World, request: RequestId) -> None:
    """Makes a request old enough for the sweeper."""
    old = world.request(request)["createdAt"] - timedelta(seconds=60)
    world.db.collection(schema.OUTBOX).document(request).update({"createdAt": old})
