from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import ids, outbox
from core.errors import ErrorCode
from core.ids import AccountId, ChatId, RequestId
from core.outbox import MAX_ATTEMPTS, Refusal, Request
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


def test_a_claim_counts_the_attempt_and_ends_before_its_posts_can_leave_late() -> None:
    taken, fields = outbox.claim(RequestId("t_ab"), outbox.queue_state({"attempts": 2}), AT, T)
    assert (taken.attempts, fields["attempts"], fields["status"]) == (3, 3, "sending")
    assert AT < taken.not_after < taken.until
    assert fields["dedupeKey"] == "ab"


def test_a_claim_beyond_the_limit_is_exhausted_and_counts_no_further() -> None:
    taken, fields = outbox.claim(RequestId("t_ab"), outbox.queue_state({"attempts": MAX_ATTEMPTS}), AT, T)
    assert taken.is_exhausted
    assert fields["attempts"] == MAX_ATTEMPTS


def test_a_claim_of_what_stands_as_sending_is_in_doubt_and_any_other_is_not() -> None:
    """The attempt before it ended without proof: its job died, or nobody answered."""
    for status, in_doubt in [("sending", True), ("queued", False)]:
        taken, _ = outbox.claim(RequestId("t_ab"), outbox.queue_state({"status": status, "attempts": 1}), AT, T)
        assert taken.in_doubt is in_doubt


def test_a_malformed_queue_state_reads_as_free_and_unfinished() -> None:
    state = outbox.queue_state({"status": ["sent"], "attempts": True, "claimUntil": "x"})
    assert (state.status, state.attempts, state.claim_until) == (None, 0, None)
    assert not state.is_finished()
    assert not state.is_held(AT)


def test_a_claim_ends_what_held_the_request_back() -> None:
    _, fields = outbox.claim(RequestId("t_ab"), outbox.queue_state({"status": "queued", "heldBy": "paced"}), AT, T)
    assert fields["heldBy"] is None
    _, fields = outbox.claim(RequestId("t_ab"), outbox.queue_state({"status": "queued"}), AT, T)
    assert "heldBy" not in fields


_TRIED_AT = AT - timedelta(seconds=10)


@pytest.mark.parametrize(
    ("document", "is_under_way"),
    [
        ({"claimUntil": _TRIED_AT + timedelta(seconds=30), "lastTriedAt": _TRIED_AT}, True),
        ({"claimUntil": AT + timedelta(seconds=20)}, True),
        ({"claimUntil": _TRIED_AT + timedelta(seconds=31), "lastTriedAt": _TRIED_AT}, False),
        ({"claimUntil": AT, "lastTriedAt": _TRIED_AT}, False),
        ({"claimUntil": None, "lastTriedAt": _TRIED_AT}, False),
        ({"claimUntil": AT + timedelta(seconds=20), "lastTriedAt": _TRIED_AT, "heldBy": "paced"}, False),
        ({"claimUntil": AT + timedelta(seconds=20), "lastTriedAt": _TRIED_AT, "status": "queued"}, False),
    ],
)
def test_an_attempt_is_under_way_for_no_longer_than_a_claim(document: dict[str, Any], is_under_way: bool) -> None:
    assert outbox.queue_state({"status": "sending"} | document).is_attempt_under_way(AT) is is_under_way


@pytest.mark.parametrize(
    ("held_by", "until", "is_held_as_cold"),
    [
        ("cold_limit", AT + timedelta(minutes=1), True),
        ("cold_locked", AT + timedelta(minutes=1), True),
        ("cold_locked", AT, False),
        ("paced", AT + timedelta(minutes=1), False),
        (None, AT + timedelta(minutes=1), False),
        (["cold_locked"], AT + timedelta(minutes=1), False),
    ],
)
@pytest.mark.parametrize("status", ["queued", "sending"])
def test_a_cold_message_is_held_as_such_whether_it_is_queued_or_in_doubt(
    status: str, held_by: object, until: datetime, is_held_as_cold: bool
) -> None:
    state = outbox.queue_state({"status": status, "heldBy": held_by, "claimUntil": until})
    assert state.is_held_as_cold(AT) is is_held_as_cold


def test_the_prefix_of_what_is_sent_again_is_nobody_elses() -> None:
    taken = document(client_message_id="resend-0011")
    refusal = outbox.new_request_problem(taken)
    assert refusal is not None
    assert refusal.code is ErrorCode.INVALID_REQUEST
    assert outbox.new_request_problem(taken | {"resendOf": "another"}) is None


@pytest.mark.parametrize(
    "media",
    [
        pytest.param("ü" * 33_000, id="characters of two bytes"),
        pytest.param(b"m" * 66_000, id="bytes"),
        pytest.param([1.5] * 9_000, id="numbers"),
        pytest.param({"a": [{"b": None, "c": AT}] * 4_000}, id="maps in a list"),
        pytest.param([object()] * 11, id="values that no client may write"),
    ],
)
def test_a_document_that_leaves_the_server_too_little_room_is_refused_whatever_fills_it(media: object) -> None:
    refused = parse(document(media=media))
    assert isinstance(refused, Refusal)
    assert "too large" in refused.detail
