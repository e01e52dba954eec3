"""The pace of an account, with simulated time: how fast, who goes first, and that nobody who waits is passed over."""

import asyncio
import itertools
import random

import pytest

from connector.pacing import Closed, Pacing, Queue, TokenBucket


def mean(low: float, high: float) -> float:
    return (low + high) / 2


def bucket(rate_s: float = 1.0, burst: float = 5.0) -> TokenBucket:
    return TokenBucket(rate_s=rate_s, burst=burst, draw=mean)


def test_a_burst_goes_at_once_and_then_the_rate_holds() -> None:
    tokens, taken = bucket(rate_s=2.0, burst=5.0), []
    now_s = 100.0
    for _ in range(15):
        now_s += tokens.wait_s(now_s)
        tokens.take(now_s)
        taken.append(round(now_s - 100.0, 3))
    assert taken == [0.0] * 5 + [0.5 * number for number in range(1, 11)]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    tokens = bucket(burst=2.0)
    tokens.take(0.0)
    for _ in range(2):
        assert tokens.wait_s(10_000.0) == 0
        tokens.take(10_000.0)
    assert tokens.wait_s(10_000.0) == pytest.approx(1.0)


def test_no_two_waits_are_alike_and_their_mean_is_the_rate() -> None:
    tokens = TokenBucket(rate_s=1.0, burst=1.0, draw=random.Random(7).uniform)
    now_s, waits = 0.0, []
    tokens.take(now_s)
    for _ in range(1000):
        waits.append(tokens.wait_s(now_s))
        now_s += waits[-1]
        tokens.take(now_s)
    assert len({round(wait, 6) for wait in waits}) > 900
    assert max(waits) - min(waits) > 0.5
    assert now_s / 1000 == pytest.approx(1.0, abs=0.05)


def test_a_clock_that_stands_still_or_goes_back_gives_no_token() -> None:
    tokens = bucket(burst=1.0)
    tokens.take(50.0)
    assert tokens.wait_s(40.0) == pytest.approx(1.0)


def queue(hold_s: float = 3.0) -> Queue:
    empty = bucket(burst=1.0)
    empty.take(0.0)
    return Queue(bucket=empty, hold_s=hold_s)


def test_who_would_wait_too_long_is_told_a_later_turn_each_another() -> None:
    waits = queue()
    away = [waits.asked(f"chat-{number}", is_cold=True, waiting=3, now_s=0.0) for number in range(5)]
    assert away == [4.0, 5.0, 6.0, 7.0, 8.0]


def test_replies_do_not_wait_for_cold_messages() -> None:
    waits = queue()
    for number in range(100):
        waits.asked(f"cold-{number}", is_cold=True, waiting=3, now_s=0.0)
    assert waits.asked("reply", is_cold=False, waiting=0, now_s=0.0) is None


def test_chats_that_send_without_a_pause_cannot_take_a_turn_that_was_promised() -> None:
    """Three flooding chats keep three waiting all the time; a fourth is told to come again, and then has its turn."""
    waits = queue()
    away_s = waits.asked("patient", is_cold=False, waiting=3, now_s=0.0)
    assert away_s is not None
    # It is not there yet: a flood's next message must count it.
    assert waits.asked("flood", is_cold=False, waiting=3, now_s=away_s) is not None
    assert waits.asked("patient", is_cold=False, waiting=3, now_s=away_s) is None


def test_a_promised_turn_that_nobody_comes_for_is_free_again() -> None:
    waits = queue()
    waits.asked("gone", is_cold=False, waiting=3, now_s=0.0)
    waits.bucket.take(100.0)
    assert waits.asked("other", is_cold=False, waiting=2, now_s=100.0) is None


async def test_waiting_replies_go_ahead_of_cold_messages_that_came_before() -> None:
    tokens = TokenBucket(rate_s=20.0, burst=1.0, draw=mean)
    pacing, went = Pacing(queue=Queue(bucket=tokens, hold_s=5.0)), []

    async def send(name: str, *, is_cold: bool) -> None:
        assert await pacing.turn(name, is_cold=is_cold) is None
        went.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, is_cold in (("first", False), ("c1", True), ("c2", True), ("r1", False), ("r2", False)):
            tasks.create_task(send(name, is_cold=is_cold))
    assert went == ["first", "r1", "r2", "c1", "c2"]


async def test_a_flood_of_one_chat_does_not_starve_the_replies_of_another() -> None:
    """A chat has one message in hand at a time, so that its next one comes behind whoever waits."""
    tokens = TokenBucket(rate_s=50.0, burst=1.0, draw=mean)
    pacing, went = Pacing(queue=Queue(bucket=tokens, hold_s=5.0)), []

    async def send(name: str, count: int) -> None:
        for _ in range(count):
            assert await pacing.turn(name, is_cold=False) is None
            went.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send("flood", 20))
        for name in ("a", "b"):
            tasks.create_task(send(name, 3))
    assert set(went[:9]) == {"flood", "a", "b"}
    assert max(len(list(run)) for name, run in itertools.groupby(went[:9])) <= 2


async def test_nobody_waits_in_an_account_that_is_handed_over() -> None:
    tokens = TokenBucket(rate_s=0.1, burst=1.0, draw=mean)
    pacing = Pacing(queue=Queue(bucket=tokens, hold_s=60.0))
    assert await pacing.turn("one", is_cold=False) is None
    waiting = asyncio.create_task(pacing.turn("two", is_cold=False))
    await asyncio.sleep(0)
    pacing.close()
    with pytest.raises(Closed):
        await asyncio.wait_for(waiting, 1.0)
    with pytest.raises(Closed):
        await pacing.turn("three", is_cold=False)
