"""How a thread changes when a reply is sent, or is not sent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core import reply, thread
from core.delivery import Delivery
from core.errors import ErrorCode, described
from core.ids import WaMessageId
from core.message import StoredMessage
from core.moment import Moment
from core.thread import Thread

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REPLY = WaMessageId("reply")


def at(minutes: float) -> Moment:
    moment = AT + minutes * MINUTE
    return Moment(at=moment, received_at=moment)


def asked(before: Thread, text: str, minutes: float) -> Thread:
    return thread.after_message(before, WaMessageId(text), at(minutes), text=text)


def answered(before: Thread, minutes: float, message_id: WaMessageId = REPLY) -> Thread:
    return thread.after_reply(before, message_id, at(minutes), text="our answer")


def stored(minutes: float, state: Delivery = Delivery.QUEUED) -> StoredMessage:
    return StoredMessage(delivery=state, request_id=None, text="our answer", written=at(minutes))


def not_sent(before: Thread, minutes: float, previous: Moment | None = None, *, is_certain: bool = True) -> Thread:
    return reply.after_failure(before, REPLY, stored(minutes), previous, is_certain=is_certain)


ANSWERED = answered(asked(Thread(), "question", 0), 1)


def test_what_the_contact_wrote_before_a_reply_that_was_not_sent_must_be_counted_again() -> None:
    after = not_sent(ANSWERED, 1)
    assert (after.unread, after.replied) == (None, None)
    assert after.last_message_preview == "Not sent: our answer"
    assert after.last_message_at == AT + MINUTE


def test_an_unknown_outcome_is_not_shown_as_a_certain_one() -> None:
    assert not_sent(ANSWERED, 1, is_certain=False).last_message_preview == "Perhaps not sent: our answer"


def test_unread_is_counted_from_the_newest_reply_that_is_left() -> None:
    twice = answered(answered(asked(Thread(), "question", 0), 1, WaMessageId("first")), 2)
    assert (not_sent(twice, 2, at(1)).unread, not_sent(twice, 2, at(1)).replied) == (0, at(1))


def test_an_older_reply_that_is_not_sent_leaves_unread_and_preview_alone() -> None:
    newer = answered(ANSWERED, 2, WaMessageId("newer"))
    assert not_sent(newer, 1) == newer


def test_a_newer_message_keeps_its_preview() -> None:
    after = not_sent(asked(ANSWERED, "another question", 5), 1)
    assert (after.last_message_preview, after.unread) == ("another question", None)


def sent(before: Thread, minutes: float, left: float, state: Delivery = Delivery.QUEUED) -> Thread:
    return reply.after_sent(before, REPLY, stored(minutes, state), AT + left * MINUTE)


def test_proof_that_comes_later_makes_everything_right_again() -> None:
    proven = sent(replace(not_sent(ANSWERED, 1), unread=1), 1, 1.5, Delivery.FAILED)
    assert proven == ANSWERED


def test_late_proof_leaves_a_newer_question_to_be_counted_and_shown() -> None:
    taken_back = replace(not_sent(asked(ANSWERED, "another question", 5), 1), unread=2)
    proven = sent(taken_back, 1, 1.5, Delivery.FAILED)
    assert (proven.unread, proven.replied, proven.last_message_preview) == (None, at(1), "another question")


def test_late_proof_changes_nothing_where_a_newer_reply_counts() -> None:
    newer = answered(not_sent(ANSWERED, 1), 9, WaMessageId("newer"))
    assert sent(newer, 1, 1.5, Delivery.FAILED) == newer


def test_a_reply_that_waited_moves_to_where_it_left() -> None:
    """It was written in the morning, the contact wrote at noon, the account came back in the afternoon."""
    waiting = asked(ANSWERED, "another question", 240)
    assert waiting.last_message_preview == "another question"
    after = sent(waiting, 1, 600)
    assert (after.last_message_at, after.last_message_preview) == (AT + 600 * MINUTE, "our answer")
    assert after.unread == waiting.unread == 1  # written before the question
    assert sent(ANSWERED, 1, 600).last_message_at == AT + 600 * MINUTE


def test_a_reply_that_waited_stays_behind_what_was_written_after_it_left() -> None:
    later = asked(ANSWERED, "another question", 700)
    assert sent(later, 1, 600) == later


@pytest.mark.parametrize(
    ("state", "left", "moves"),
    [
        (Delivery.QUEUED, 1.2, False),
        (Delivery.QUEUED, 2.0, False),
        (Delivery.QUEUED, 2.1, True),
        (Delivery.FAILED, 1.2, True),
    ],
)
def test_only_a_reply_that_waited_or_was_taken_back_costs_a_look_at_its_thread(
    state: Delivery, left: float, moves: bool
) -> None:
    assert reply.moves_thread(stored(1, state), AT + left * MINUTE) is moves
    if not moves:
        assert sent(ANSWERED, 1, left, state) == ANSWERED


@pytest.mark.parametrize(
    ("old", "new", "becomes"),
    [
        ("queued", "sent", True),
        ("queued", "read", True),
        ("failed", "delivered", True),
        ("sent", "delivered", False),
        ("queued", "failed", False),
    ],
)
def test_a_message_gets_its_time_once_when_it_is_known_to_have_left(old: str, new: str, becomes: bool) -> None:
    assert reply.becomes_sent(stored(1, Delivery(old)), Delivery(new)) is becomes


def test_a_clock_that_is_behind_does_not_put_a_message_before_its_creation() -> None:
    assert reply.sent_at(stored(1), AT) == AT + MINUTE
    assert reply.sent_at(stored(1), AT + 5 * MINUTE) == AT + 5 * MINUTE


@pytest.mark.parametrize("code", [ErrorCode.CANCELLED, ErrorCode.EXPIRED, ErrorCode.REJECTED, ErrorCode.NOT_SENT])
def test_only_an_unknown_outcome_is_uncertain(code: ErrorCode) -> None:
    assert reply.is_failure_certain({"error": described(code, "why")})
    assert not reply.is_failure_certain({"error": described(ErrorCode.OUTCOME_UNKNOWN, "why")})
