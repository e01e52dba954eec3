from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import decision, ids, outbox
from core.decision import DecidedBy, Decision
from core.delivery import Delivery
from core.errors import ErrorCode
from core.ids import AccountId, ChatId
from core.outbox import Refusal, Request
from core.settling import Settlement

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
S = timedelta(seconds=1)
CHAT = ChatId("40712345678@s.whatsapp.net")
THREAD = ids.thread_id(AccountId("shop"), CHAT)
ROOT = DecidedBy(uid="root", email="root@example.com")
UNKNOWN = "outcome_unknown: no answer"
REQUEST = Request(
    request_id=ids.request_id(THREAD, CHAT, "hello", "01J"),
    thread_id=THREAD,
    account_id=AccountId("shop"),
    chat_id=CHAT,
    text="hello",
    created_by_uid="u1",
    created_by_email="u1@example.com",
    created_at=AT,
)


@pytest.mark.parametrize("claim_until", [None, AT - S, AT + S])
def test_a_queued_request_can_be_taken_back_also_while_it_waits_for_its_next_attempt(
    claim_until: datetime | None,
) -> None:
    ended = decision.cancelled({"status": "queued", "claimUntil": claim_until}, Delivery.QUEUED, AT)
    assert isinstance(ended, Settlement)
    assert (ended.request["status"], ended.message["delivery"], ended.alert) == ("failed", "failed", None)
    assert str(ended.request["lastError"]).startswith("cancelled: ")
    assert ended.message["error"] == ended.request["lastError"]
    assert decision.is_cancelled(ended.request)


@pytest.mark.parametrize(
    ("status", "standing", "says"),
    [
        ("sent", Delivery.SENT, "was sent"),
        ("failed", Delivery.FAILED, "has failed"),
        ("queued", Delivery.DELIVERED, "was sent"),
        (None, Delivery.QUEUED, "is being sent"),
    ],
)
def test_what_is_not_queued_cannot_be_taken_back(status: str | None, standing: Delivery, says: str) -> None:
    refusal = decision.cancelled({"status": status}, standing, AT)
    assert isinstance(refusal, Refusal)
    assert refusal.code is ErrorCode.NOT_CANCELLABLE
    assert says in refusal.detail


def test_what_waits_in_doubt_is_not_said_to_be_being_sent() -> None:
    def detail(**document: Any) -> str:
        refusal = decision.cancelled({"status": "sending"} | document, Delivery.QUEUED, AT)
        assert isinstance(refusal, Refusal)
        return refusal.detail

    assert "it is being sent" in detail(claimUntil=AT + 20 * S, lastTriedAt=AT - 10 * S)
    held: dict[str, Any] = {"claimUntil": AT + 20 * S, "lastTriedAt": AT - 10 * S, "heldBy": "cold_limit"}
    for waiting in ({}, {"claimUntil": AT - S}, held):
        assert "a super-admin can decide about it" in detail(**waiting)


@pytest.mark.parametrize(
    "document",
    [
        {"status": "failed", "lastError": UNKNOWN},
        {"status": "sending"},
        {"status": "sending", "claimUntil": AT},
        {"status": "sending", "claimUntil": AT + 20 * S, "lastTriedAt": AT - 5 * S, "heldBy": "cold_locked"},
        {"status": "sending", "claimUntil": AT + 600 * S, "lastTriedAt": AT - 5 * S},
    ],
)
def test_a_request_whose_end_nobody_knows_can_be_decided(document: dict[str, Any]) -> None:
    for wanted in (None, Decision.MARK_SENT, Decision.MARK_FAILED):
        assert decision.problem(document, Delivery.FAILED, AT, wanted) is None


def test_a_request_is_resent_only_when_it_has_failed() -> None:
    """Until then it is tried again under its own id, which is safe."""
    assert decision.problem({"status": "failed", "lastError": UNKNOWN}, Delivery.FAILED, AT, Decision.RESEND) is None
    refusal = decision.problem({"status": "sending", "lastError": UNKNOWN}, Delivery.QUEUED, AT, Decision.RESEND)
    assert refusal is not None
    assert refusal.code is ErrorCode.NOT_UNCERTAIN
    assert "under its own id" in refusal.detail


@pytest.mark.parametrize(
    ("document", "standing", "says"),
    [
        ({"status": "queued"}, Delivery.QUEUED, "waits"),
        ({"status": None}, Delivery.QUEUED, "waits"),
        ({"status": "sending", "claimUntil": AT + S}, Delivery.QUEUED, "under way"),
        ({"status": "sending", "claimUntil": AT + S, "lastTriedAt": AT - 29 * S}, Delivery.QUEUED, "under way"),
        ({"status": "sending"}, Delivery.DELIVERED, "has taken"),
        ({"status": "sent"}, Delivery.SENT, "has taken"),
        ({"status": "failed", "lastError": UNKNOWN}, Delivery.READ, "has taken"),
        ({"status": "failed", "lastError": "rejected: 463"}, Delivery.FAILED, "did not leave"),
        ({"status": "failed", "lastError": "expired: old"}, Delivery.FAILED, "did not leave"),
        ({"status": "failed", "lastError": UNKNOWN, "decision": "resend"}, Delivery.FAILED, "already: resend"),
    ],
)
def test_a_request_whose_end_is_known_cannot_be_decided(
    document: dict[str, Any], standing: Delivery, says: str
) -> None:
    refusal = decision.problem(document, standing, AT)
    assert refusal is not None
    assert refusal.code is ErrorCode.NOT_UNCERTAIN
    assert says in refusal.detail


@pytest.mark.parametrize(
    ("decided", "status", "delivery"),
    [
        (Decision.MARK_SENT, "sent", "sent"),
        (Decision.MARK_FAILED, "failed", "failed"),
        (Decision.RESEND, "failed", "failed"),
    ],
)
@pytest.mark.parametrize("standing", [Delivery.QUEUED, Delivery.FAILED])
def test_a_decision_ends_request_and_message_and_says_who_made_it(
    decided: Decision, status: str, delivery: str, standing: Delivery
) -> None:
    ended = decision.decided(decided, REQUEST, ROOT, standing, AT)
    assert (ended.request["status"], ended.message["delivery"]) == (status, delivery)
    assert ended.message["error"] == ended.request["lastError"]
    assert ended.request["expireAt"] == AT + timedelta(days=90)
    assert (ended.request["decision"], ended.request["decidedAt"]) == (decided, AT)
    assert (ended.request["decidedByUid"], ended.request["decidedByEmail"]) == ("root", "root@example.com")
    assert decision.is_made_already(ended.request, decided)


def test_a_resent_message_is_a_request_like_a_clients_in_its_creators_name_and_always_the_same_one() -> None:
    name, document = decision.resent(REQUEST, AT + S)
    again, _ = decision.resent(REQUEST, AT + 2 * S)
    assert name == again != REQUEST.request_id
    request = outbox.parse_request(name, document)
    assert isinstance(request, Request)
    assert outbox.new_request_problem(document) is None
    assert (request.text, request.created_by_uid, request.created_by_email) == ("hello", "u1", "u1@example.com")
    assert (request.created_at, document["resendOf"]) == (AT + S, REQUEST.request_id)
    assert decision.decided(Decision.RESEND, REQUEST, ROOT, Delivery.QUEUED, AT).request["resentAs"] == name


def test_what_is_known_is_an_answer_in_json_to_find_the_message_on_the_phone_by() -> None:
    document = {
        "threadId": THREAD,
        "to": CHAT,
        "text": "hello",
        "status": "failed",
        "attempts": 8,
        "lastError": UNKNOWN,
        "lastTriedAt": AT,
        "waMessageKey": REQUEST.key,
        "createdAt": AT - S,
        "createdByUid": "u1",
        "createdByEmail": "u1@example.com",
    }
    undecided = {
        "status": "failed",
        "attempts": 8,
        "lastError": UNKNOWN,
        "lastTriedAt": "2026-01-01T12:00:00+00:00",
        "delivery": "failed",
        "waMessageKey": REQUEST.key,
        "createdAt": "2026-01-01T11:59:59+00:00",
        "createdByUid": "u1",
        "createdByEmail": "u1@example.com",
        "decision": None,
        "decidedAt": None,
        "decidedByUid": None,
        "decidedByEmail": None,
        "resentAs": None,
    }
    assert decision.known(document, Delivery.FAILED) == undecided

    ended = decision.decided(Decision.RESEND, REQUEST, ROOT, Delivery.FAILED, AT)
    who = {"decidedAt": "2026-01-01T12:00:00+00:00", "decidedByUid": "root", "decidedByEmail": "root@example.com"}
    assert decision.known({**document, **ended.request}, Delivery.FAILED) == {
        **undecided,
        **who,
        "lastError": ended.request["lastError"],
        "decision": "resend",
        "resentAs": ended.request["resentAs"],
    }


def test_what_a_document_does_not_hold_is_not_known() -> None:
    assert set(decision.known({}, None).values()) == {None, 0}
