"""Jobs of one thread in one process: one is at work, the others join it, and nobody's request is forgotten."""

import dataclasses

import pytest

from backend.send import JobEnd
from backend.send_queue import Job
from core.ids import RequestId
from tests.backend.interrupted import InterruptedLook
from tests.backend.world import World, key_of


def test_a_request_whose_job_joins_after_the_last_look_is_sent_by_the_job_at_work(world: World) -> None:
    chat = world.chat()
    late: list[RequestId] = []

    def write_another() -> None:
        late.append(world.write(chat))
        world.accept(late[0])
        assert world.send_job(chat) is JobEnd.JOINED

    at_work = dataclasses.replace(world.services.send, stores=InterruptedLook(world.services.stores, write_another))
    assert at_work.run(Job(thread_id=world.thread_id(chat)), is_retry=False) is JobEnd.QUEUE_EMPTY
    assert world.request(late[0])["status"] == "sent"
    assert world.connector.keys(world.account) == [key_of(late[0])]


def test_a_thread_is_free_when_its_job_has_ended(world: World) -> None:
    chat = world.chat()
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY


def test_a_thread_is_free_when_its_job_has_failed(world: World) -> None:
    chat = world.chat()

    def fail() -> None:
        raise ConnectionError

    at_work = dataclasses.replace(world.services.send, stores=InterruptedLook(world.services.stores, fail))
    with pytest.raises(ConnectionError):
        at_work.run(Job(thread_id=world.thread_id(chat)), is_retry=False)
    assert world.send_job(chat) is JobEnd.QUEUE_EMPTY


@pytest.mark.parametrize(("is_retry", "key"), [(True, None), (False, "head|1|0")])
def test_a_job_that_answers_for_a_claims_end_looks_for_itself(world: World, is_retry: bool, key: str | None) -> None:
    """The job at work may be the one that will not come back."""
    chat = world.chat()
    request = world.write(chat)
    world.accept(request)
    thread_id = world.thread_id(chat)
    assert world.services.send.running.begin(thread_id)
    try:
        job = Job(thread_id=thread_id, key=key)
        assert world.services.send.run(job, is_retry=is_retry) is JobEnd.QUEUE_EMPTY
    finally:
        world.services.send.running.fail(thread_id)
    assert world.request(request)["status"] == "sent"
