from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import settling
from core.delivery import Delivery
from core.errors import ErrorCode
from core.outbox import MAX_ATTEMPTS, Claim, Outcome, SendResult
from core.pacing import Hold
from core.settling import NextStep, Settlement
from core.timing import Timing

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
T = Timing()


def claim(attempts: int = 1) -> Claim:
    return Claim(attempts=attempts, until=AT + timedelta(seconds=30), not_after=AT + timedelta(seconds=25))


def settle(outcome: Outcome, attempts: int = 1, standing: Delivery = Delivery.QUEUED, **result: Any) -> Settlement:
    return settling.settle(claim(attempts), SendResult(outcome=outcome, **result), standing, AT, T, 0.5)


def test_sent_ends_the_request_and_moves_the_message() -> None:
    done = settle(Outcome.SENT)
    assert (done.request["status"], done.message["delivery"], done.step) == ("sent", "sent", NextStep.NEXT_HEAD)
    assert done.request["expireAt"] == AT + timedelta(days=90)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.SENT])
def test_a_message_that_stands_as_delivered_ends_its_request_as_sent_whatever_the_attempt_said(
    outcome: Outcome,
) -> None:
    done = settle(outcome, standing=Delivery.DELIVERED)
    assert (done.request["status"], done.message) == ("sent", {})


def test_sent_proves_a_message_that_had_been_given_up() -> None:
    assert settle(Outcome.SENT, standing=Delivery.FAILED).message == {"delivery": "sent", "error": None}


@pytest.mark.parametrize(
    ("outcome", "reason", "error"),
    [(Outcome.REJECTED, "463", "rejected: "), (Outcome.REJECTED, "no_account", "not_on_whatsapp: ")],
)
def test_a_rejected_message_fails_at_once(outcome: Outcome, reason: str, error: str) -> None:
    done = settle(outcome, reason=reason)
    assert (done.request["status"], done.message["delivery"], done.step) == ("failed", "failed", NextStep.NEXT_HEAD)
    assert str(done.request["lastError"]).startswith(error)
    assert done.message["error"] == done.request["lastError"]


def test_no_answer_leaves_the_claim_to_its_end() -> None:
    later = settle(Outcome.NO_ANSWER)
    assert set(later.request) == {"lastError"}
    assert str(later.request["lastError"]).startswith("outcome_unknown: ")
    assert later.step is NextStep.LATER


def test_no_answer_to_the_last_attempt_is_not_failed_while_its_frame_may_still_leave() -> None:
    assert settle(Outcome.NO_ANSWER, attempts=MAX_ATTEMPTS).step is NextStep.LATER


def test_an_explicit_unknown_stays_sending_says_so_and_backs_off() -> None:
    later = settle(Outcome.UNKNOWN, attempts=3)
    assert later.request["status"] == "sending"
    assert str(later.request["lastError"]).startswith("outcome_unknown: ")
    assert later.request["claimUntil"] == AT + timedelta(seconds=8)


@pytest.mark.parametrize("outcome", [Outcome.EXHAUSTED, Outcome.UNKNOWN])
def test_at_the_limit_the_unknown_fails_with_an_alert_and_frees_its_chat(outcome: Outcome) -> None:
    done = settle(outcome, attempts=MAX_ATTEMPTS)
    assert (done.request["status"], done.step, done.alert) == ("failed", NextStep.NEXT_HEAD, ErrorCode.OUTCOME_UNKNOWN)
    assert str(done.message["error"]).startswith("outcome_unknown: ")


def test_what_became_of_the_unknown_is_kept_until_somebody_has_decided() -> None:
    """Else nobody could after 90 days, and its alert would stay open for ever."""
    assert "expireAt" not in settle(Outcome.EXHAUSTED, attempts=MAX_ATTEMPTS).request
    assert "expireAt" not in settle_in_doubt(Outcome.REJECTED, reason="463").request
    assert settle(Outcome.REJECTED, reason="463").request["expireAt"] == AT + timedelta(days=90)


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.EXPIRED])
def test_what_provably_did_not_leave_is_queued_again_and_fails_at_the_limit(outcome: Outcome) -> None:
    assert settle(outcome).request["status"] == "queued"
    done = settle(outcome, attempts=MAX_ATTEMPTS)
    assert str(done.request["lastError"]).startswith("not_sent: ")
    assert done.alert is ErrorCode.NOT_SENT


@pytest.mark.parametrize("outcome", [Outcome.NOT_CONNECTED, Outcome.NOT_OWNER, Outcome.UNREACHABLE])
def test_waiting_for_the_account_gives_the_attempt_and_the_claim_back(outcome: Outcome) -> None:
    waiting = settle(outcome, attempts=4)
    assert (waiting.request["attempts"], waiting.request["claimUntil"]) == (3, None)
    assert (waiting.request["status"], waiting.step) == ("queued", NextStep.WAIT)


def test_not_before_holds_the_request_until_then_and_burns_no_attempt() -> None:
    later = settle(Outcome.NOT_BEFORE, attempts=2, not_before=AT + timedelta(seconds=7))
    assert (later.request["claimUntil"], later.request["attempts"]) == (AT + timedelta(seconds=7), 1)
    assert later.step is NextStep.LATER


def test_a_refusing_connector_costs_no_attempt_and_alerts() -> None:
    later = settle(Outcome.REFUSED, attempts=MAX_ATTEMPTS, reason="401")
    assert (later.request["status"], later.request["attempts"]) == ("queued", MAX_ATTEMPTS - 1)
    assert later.alert is ErrorCode.CONNECTOR_REFUSED


@pytest.mark.parametrize(("code", "alerts"), [(ErrorCode.ACCOUNT_UNKNOWN, True), (ErrorCode.CHAT_NOT_SUPPORTED, False)])
def test_a_request_that_cannot_be_sent_fails_with_its_code_and_alerts_where_an_operator_must_act(
    code: ErrorCode, alerts: bool
) -> None:
    done = settle(Outcome.INVALID, code=code, reason="why")
    assert (done.request["status"], done.request["lastError"]) == ("failed", f"{code}: why")
    assert done.alert == (code if alerts else None)


def settle_in_doubt(outcome: Outcome, attempts: int = 2, **result: Any) -> Settlement:
    taken = replace(claim(attempts), in_doubt=True)
    return settling.settle(taken, SendResult(outcome=outcome, **result), Delivery.QUEUED, AT, T, 0.5)


_PROVES_ONLY_ITSELF = [
    Outcome.NOT_SENT, Outcome.EXPIRED, Outcome.NOT_CONNECTED, Outcome.NOT_OWNER, Outcome.NOT_BEFORE, Outcome.REFUSED,
    Outcome.UNREACHABLE,
]  # fmt: skip


@pytest.mark.parametrize("outcome", _PROVES_ONLY_ITSELF)
def test_an_attempt_that_did_not_leave_does_not_undo_the_doubt_about_an_earlier_one(outcome: Outcome) -> None:
    later = settle_in_doubt(outcome)
    assert later.request["status"] == "sending"
    assert str(later.request["lastError"]).startswith("outcome_unknown: ")
    alone = settle(outcome, attempts=2)
    assert (later.step, later.alert, later.request.get("attempts")) == (
        alone.step, alone.alert, alone.request.get("attempts"),
    )  # fmt: skip


@pytest.mark.parametrize("hold", list(Hold))
def test_what_holds_a_request_back_stands_beside_the_doubt_about_it(hold: Hold) -> None:
    alone = settle(Outcome.NOT_BEFORE, reason=hold, not_before=AT + timedelta(minutes=10))
    in_doubt = settle_in_doubt(Outcome.NOT_BEFORE, reason=hold, not_before=AT + timedelta(minutes=10))
    assert (alone.request["heldBy"], in_doubt.request["heldBy"]) == (hold, hold)
    assert alone.request["claimUntil"] == in_doubt.request["claimUntil"]
    why_held = str(alone.request["lastError"]).partition(": ")[2]
    assert str(in_doubt.request["lastError"]).startswith("outcome_unknown: ")
    assert str(in_doubt.request["lastError"]).endswith(why_held)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.NOT_BEFORE])
def test_no_other_outcome_says_that_something_holds_a_request_back(outcome: Outcome) -> None:
    for ended in (settle(outcome, reason="cold_locked"), settle_in_doubt(outcome, reason="cold_locked")):
        assert ended.request.get("heldBy") is None


@pytest.mark.parametrize(
    ("outcome", "attempts"),
    [(Outcome.NOT_SENT, MAX_ATTEMPTS), (Outcome.EXPIRED, MAX_ATTEMPTS), (Outcome.REJECTED, 2), (Outcome.INVALID, 2)],
)
def test_a_failure_after_an_attempt_without_an_answer_says_that_its_end_is_unknown(
    outcome: Outcome, attempts: int
) -> None:
    done = settle_in_doubt(outcome, attempts, reason="463", code=ErrorCode.ACCOUNT_UNKNOWN)
    assert (done.request["status"], done.alert, done.step) == ("failed", ErrorCode.OUTCOME_UNKNOWN, NextStep.NEXT_HEAD)
    assert str(done.request["lastError"]).startswith("outcome_unknown: ")
    assert done.message["error"] == done.request["lastError"]


def test_a_number_that_is_not_on_whatsapp_leaves_no_doubt() -> None:
    done = settle_in_doubt(Outcome.REJECTED, reason="no_account")
    assert str(done.request["lastError"]).startswith("not_on_whatsapp: ")


def test_sent_ends_every_doubt() -> None:
    assert settle_in_doubt(Outcome.SENT).request["status"] == "sent"


def test_backoff_doubles_to_its_limit() -> None:
    waits = [settling.backoff_s(attempts, T, 0.5) for attempts in range(1, 9)]
    assert waits == [2, 4, 8, 16, 32, 64, 120, 120]
    assert settling.backoff_s(1, T, 0.0) == pytest.approx(1.6)
    assert settling.backoff_s(1, T, 1.0) == pytest.approx(2.4)
