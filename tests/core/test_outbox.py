from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import ids, outbox
from core.delivery import Delivery
from core.errors import ErrorCode
from core.ids import AccountId, ChatId, RequestId
from core.outbox import MAX_ATTEMPTS, Claim, NextStep, Outcome, Refusal, Request, SendResult, Settlement
from core.timing import Timing

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHAT = ChatId("40712345678@s.whatsapp.net")
THREAD = ids.thread_id(AccountId("shop"), CHAT)
T = Timing()


def document(text: Any = "hello", client_message_id: Any = "01J", **changes: Any) -> dict[str, Any]:
    fields = {
        "threadId": THREAD,
        "accountId": "shop",
        "chatId": CHAT,
        "to": CHAT,
        "text": text,
        "clientMessageId": client_message_id,
        "createdByUid": "u1",
        "createdByEmail": "u1@example.com",
        "createdAt": AT,
        "status": "queued",
    }
    return fields | changes


def request_id(text: str = "hello") -> str:
    return ids.request_id(THREAD, CHAT, text, "01J")


def parse(fields: dict[str, Any], name: str | None = None) -> Request | Refusal:
    return outbox.parse_request(name or request_id(), fields)


def test_a_good_request_parses() -> None:
    request = parse(document())
    assert isinstance(request, Request)
    assert (request.text, request.chat_id, request.key) == ("hello", CHAT, ids.outbound_key(RequestId(request_id())))


@pytest.mark.parametrize(
    ("changes", "code", "names"),
    [
        ({"threadId": "shop_a/b"}, ErrorCode.INVALID_REQUEST, "'/'"),
        ({"threadId": None}, ErrorCode.INVALID_REQUEST, "id"),
        ({"clientMessageId": "ü"}, ErrorCode.INVALID_REQUEST, "clientMessageId"),
        ({"text": ""}, ErrorCode.INVALID_REQUEST, "text"),
        ({"text": ["a"]}, ErrorCode.INVALID_REQUEST, "text"),
        ({"text": "x" * 4097}, ErrorCode.INVALID_REQUEST, "4096 UTF-16 units"),
        ({"text": "👋" * 2049}, ErrorCode.INVALID_REQUEST, "4096 UTF-16 units"),
        ({"createdByUid": None}, ErrorCode.INVALID_REQUEST, "createdByUid"),
        ({"createdByEmail": 5}, ErrorCode.INVALID_REQUEST, "createdByEmail"),
        ({"createdAt": "now"}, ErrorCode.INVALID_REQUEST, "createdAt"),
        ({"to": "40799999999@s.whatsapp.net"}, ErrorCode.WRONG_REQUEST_ID, "to"),
        ({"accountId": "other"}, ErrorCode.WRONG_REQUEST_ID, "accountId"),
        ({"text": "another"}, ErrorCode.WRONG_REQUEST_ID, "sha256"),
    ],
)
def test_a_bad_request_says_which_field_is_wrong_and_quotes_nothing(
    changes: dict[str, Any], code: ErrorCode, names: str
) -> None:
    refusal = parse(document(**changes))
    assert isinstance(refusal, Refusal)
    assert refusal.code is code
    assert names in refusal.detail
    assert "another" not in refusal.detail


@pytest.mark.parametrize(
    "missing", ["threadId", "accountId", "chatId", "to", "text", "clientMessageId", "createdByUid", "createdAt"]
)
def test_a_request_that_lacks_a_field_is_refused(missing: str) -> None:
    fields = document()
    del fields[missing]
    assert isinstance(parse(fields), Refusal)


def test_text_of_exactly_4096_units_is_accepted() -> None:
    text = "👋" * 2048
    assert isinstance(parse(document(text=text), request_id(text)), Request)


def test_a_group_is_not_supported_yet() -> None:
    group = ChatId("120363000-1@g.us")
    thread = ids.thread_id(AccountId("shop"), group)
    fields = document(threadId=thread, chatId=group, to=group)
    refusal = outbox.parse_request(ids.request_id(thread, group, "hello", "01J"), fields)
    assert isinstance(refusal, Refusal)
    assert refusal.code is ErrorCode.CHAT_NOT_SUPPORTED


@pytest.mark.parametrize("changes", [{"status": "sending"}, {"status": None}, {"attempts": 3}, {"claimUntil": AT}])
def test_a_request_that_is_born_in_the_middle_of_its_life_is_refused(changes: dict[str, Any]) -> None:
    assert outbox.new_request_problem(document(**changes)) is not None
    assert outbox.new_request_problem(document(attempts=0)) is None


def claim(attempts: int = 1) -> Claim:
    return Claim(attempts=attempts, until=AT + timedelta(seconds=30), not_after=AT + timedelta(seconds=25))


def settle(outcome: Outcome, attempts: int = 1, standing: Delivery = Delivery.QUEUED, **result: Any) -> Settlement:
    return outbox.settle(claim(attempts), SendResult(outcome=outcome, **result), standing, AT, T, 0.5)


def test_a_claim_counts_the_attempt_and_ends_before_its_posts_can_leave_late() -> None:
    taken, fields = outbox.claim(RequestId("t_ab"), outbox.queue_state({"attempts": 2}), AT, T)
    assert (taken.attempts, fields["attempts"], fields["status"]) == (3, 3, "sending")
    assert AT < taken.not_after < taken.until
    assert fields["dedupeKey"] == "ab"


def test_a_claim_beyond_the_limit_is_exhausted_and_counts_no_further() -> None:
    taken, fields = outbox.claim(RequestId("t_ab"), outbox.queue_state({"attempts": MAX_ATTEMPTS}), AT, T)
    assert taken.is_exhausted
    assert fields["attempts"] == MAX_ATTEMPTS


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


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.EXPIRED])
def test_what_provably_did_not_leave_is_queued_again_and_fails_at_the_limit(outcome: Outcome) -> None:
    assert settle(outcome).request["status"] == "queued"
    done = settle(outcome, attempts=MAX_ATTEMPTS)
    assert str(done.request["lastError"]).startswith("not_sent: ")
    assert done.alert is ErrorCode.NOT_SENT


@pytest.mark.parametrize("outcome", [Outcome.NOT_CONNECTED, Outcome.NOT_OWNER])
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


def test_a_claim_of_what_stands_as_sending_is_in_doubt_and_any_other_is_not() -> None:
    """The attempt before it ended without proof: its job died, or nobody answered."""
    for status, in_doubt in [("sending", True), ("queued", False)]:
        taken, _ = outbox.claim(RequestId("t_ab"), outbox.queue_state({"status": status, "attempts": 1}), AT, T)
        assert taken.in_doubt is in_doubt


def settle_in_doubt(outcome: Outcome, attempts: int = 2, **result: Any) -> Settlement:
    taken = replace(claim(attempts), in_doubt=True)
    return outbox.settle(taken, SendResult(outcome=outcome, **result), Delivery.QUEUED, AT, T, 0.5)


_PROVES_ONLY_ITSELF = [
    Outcome.NOT_SENT, Outcome.EXPIRED, Outcome.NOT_CONNECTED, Outcome.NOT_OWNER, Outcome.NOT_BEFORE, Outcome.REFUSED,
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
    waits = [outbox.backoff_s(attempts, T, 0.5) for attempts in range(1, 9)]
    assert waits == [2, 4, 8, 16, 32, 64, 120, 120]
    assert outbox.backoff_s(1, T, 0.0) == pytest.approx(1.6)
    assert outbox.backoff_s(1, T, 1.0) == pytest.approx(2.4)


def test_a_malformed_queue_state_reads_as_free_and_unfinished() -> None:
    state = outbox.queue_state({"status": ["sent"], "attempts": True, "claimUntil": "x"})
    assert (state.status, state.attempts, state.claim_until) == (None, 0, None)
    assert not state.is_finished()
    assert not state.is_held(AT)
