"""The judge calls each broken promise by its name, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.alert import alert_id
from core.errors import ErrorCode
from local.faults.judge import judge
from local.faults.record import Document, Record
from local.faults.verdict import Broken
from local.network.contacts import InboxMessage
from tests.faults.good_record import (
    CAST,
    CHAT,
    INBOUND,
    REQUESTS,
    UNREAD,
    at,
    frame,
    good_record,
    message_id,
    shown,
)

REQUEST = REQUESTS[1].request_id
REQUEST_MESSAGE = message_id(REQUESTS[1].key)
ROW = message_id(f"{INBOUND[1].whatsapp_id}-in")
"""A row's id is its message's id, too."""
READ_ROW = message_id(f"{INBOUND[0].whatsapp_id}-in")
"""One that a reply has followed: it does not count as unread."""


def changed(documents: Mapping[str, Document], name: str, **fields: Any) -> dict[str, Document]:
    document = documents[name]
    return {**documents, name: replace(document, fields={**document.fields, **fields})}


def without(documents: Mapping[str, Document], name: str) -> dict[str, Document]:
    return {known: document for known, document in documents.items() if known != name}


def test_a_round_without_a_fault_breaks_nothing() -> None:
    verdict = judge(CAST, good_record())
    assert (list(verdict.findings), verdict.adjacent_repeats) == ([], 0)


Spoil = Callable[[Record], Record]

SPOILT: dict[str, tuple[Broken, Spoil]] = {
    "a request that its contact never got": (
        Broken.LOST,
        lambda r: replace(r, inboxes={CHAT.contact: [shown(REQUESTS[0].key, REQUESTS[0].text)]}),
    ),
    "a request whose document is gone": (Broken.LOST, lambda r: replace(r, outbox=without(r.outbox, REQUEST))),
    "a request without a message": (Broken.LOST, lambda r: replace(r, messages=without(r.messages, REQUEST_MESSAGE))),
    "a request whose message has another text": (
        Broken.LOST,
        lambda r: replace(r, messages=changed(r.messages, REQUEST_MESSAGE, text="another")),
    ),
    "a receipt without effect": (
        Broken.LOST,
        lambda r: replace(r, messages=changed(r.messages, REQUEST_MESSAGE, delivery="delivered")),
    ),
    "an inbound message that stands nowhere": (
        Broken.LOST,
        lambda r: replace(r, rows=without(r.rows, READ_ROW), messages=without(r.messages, READ_ROW)),
    ),
    "an inbound message whose row is processed": (
        Broken.LOST,
        lambda r: replace(r, messages=without(r.messages, READ_ROW)),
    ),
    "an inbound message with another text": (
        Broken.LOST,
        lambda r: replace(r, messages=changed(r.messages, ROW, text="something else")),
    ),
    "a chat without a thread": (Broken.LOST, lambda r: replace(r, threads={})),
    "a text that the contact has twice, under two ids": (
        Broken.DUPLICATED,
        lambda r: replace(r, inboxes={CHAT.contact: [*r.inboxes[CHAT.contact], shown("3EB0OTHER", REQUESTS[1].text)]}),
    ),
    "a frame that came again after a later one": (
        Broken.DUPLICATED,
        lambda r: replace(r, frames=[frame(0), frame(1), frame(0), frame(2)]),
    ),
    "a frame under an id of no request": (
        Broken.DUPLICATED,
        lambda r: replace(r, frames=[*r.frames, replace(frame(0), whatsapp_id="3EB0OTHER")]),
    ),
    "a message that nobody wrote": (
        Broken.DUPLICATED,
        lambda r: replace(r, messages={**r.messages, message_id("X-in"): r.messages[ROW]}),
    ),
    "frames in another order than the requests": (
        Broken.OUT_OF_ORDER,
        lambda r: replace(r, frames=[frame(1), frame(0), frame(2)]),
    ),
    "inbound messages in another order than written": (
        Broken.OUT_OF_ORDER,
        lambda r: replace(r, messages=changed(r.messages, ROW, timestamp=at(0.5))),
    ),
    "a reply that stands before one that left before it": (
        Broken.OUT_OF_ORDER,
        lambda r: replace(r, messages=changed(r.messages, REQUEST_MESSAGE, timestamp=at(12.6))),
    ),
    "a reply that stands before it was written": (
        Broken.OUT_OF_ORDER,
        lambda r: replace(r, messages=changed(r.messages, REQUEST_MESSAGE, timestamp=at(10.9))),
    ),
    "a request that is not finished": (
        Broken.STUCK,
        lambda r: replace(r, outbox=changed(r.outbox, REQUEST, status="sending")),
    ),
    "a row that is not processed": (Broken.STUCK, lambda r: replace(r, rows=changed(r.rows, ROW, processed=False))),
    "an event that the connector did not take over": (Broken.STUCK, lambda r: replace(r, unacknowledged=1)),
    "one unread too many": (
        Broken.MISCOUNTED,
        lambda r: replace(r, threads=changed(r.threads, CHAT.thread_id, unreadCountGlobal=UNREAD + 1)),
    ),
    "the preview of a message before the last": (
        Broken.MISCOUNTED,
        lambda r: replace(r, threads=changed(r.threads, CHAT.thread_id, lastMessagePreview=INBOUND[1].text)),
    ),
    "the time of a message before the last": (
        Broken.MISCOUNTED,
        lambda r: replace(r, threads=changed(r.threads, CHAT.thread_id, lastMessageAt=at(31))),
    ),
    "fewer attempts than the connector saw": (
        Broken.MISCOUNTED,
        lambda r: replace(r, posts={**r.posts, REQUESTS[1].key: ["unknown", "sent"]}),
    ),
    "more attempts than are allowed": (
        Broken.MISCOUNTED,
        lambda r: replace(r, outbox=changed(r.outbox, REQUEST, attempts=9)),
    ),
    "a failed request that its contact has": (
        Broken.MISCOUNTED,
        lambda r: replace(r, outbox=changed(r.outbox, REQUEST, status="failed")),
    ),
    "a sent request that still has a claim": (
        Broken.MISCOUNTED,
        lambda r: replace(r, outbox=changed(r.outbox, REQUEST, claimUntil=at(60))),
    ),
    "an alert without cause": (
        Broken.MISCOUNTED,
        lambda r: replace(r, alerts={"x": Document(fields={"type": "outcome_unknown"}, created_at=at(0))}),
    ),
    "a processed row with an error": (
        Broken.MISCOUNTED,
        lambda r: replace(r, rows=changed(r.rows, ROW, lastProcessError="message_missing: ...")),
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_called_by_its_name(what: str) -> None:
    broken, spoil = SPOILT[what]
    verdict = judge(CAST, spoil(good_record()))
    assert {finding.broken for finding in verdict.findings} == {broken}


def test_a_frame_that_came_twice_in_a_row_is_counted_but_not_judged() -> None:
    verdict = judge(CAST, replace(good_record(), frames=[frame(0), frame(1), frame(1), frame(2)]))
    assert (list(verdict.findings), verdict.adjacent_repeats) == ([], 1)


def test_waiting_burns_no_attempt() -> None:
    record = good_record()
    waited = {**record.posts, REQUESTS[1].key: ["not_connected", "not_owner", "", "sent"]}
    assert not judge(CAST, replace(record, posts=waited)).findings


def test_a_reply_that_was_committed_last_answers_only_what_came_before_it_was_written() -> None:
    """Its trigger was late: the questions after it are unanswered all the same."""
    record = good_record()
    last = replace(record.messages[REQUEST_MESSAGE], created_at=at(60))
    late = replace(record, messages={**record.messages, REQUEST_MESSAGE: last})
    assert not judge(CAST, late).findings
    cleared = replace(late, threads=changed(record.threads, CHAT.thread_id, unreadCountGlobal=0))
    assert [finding.broken for finding in judge(CAST, cleared).findings] == [Broken.MISCOUNTED]


LAST = REQUESTS[2]


def last_reply(record: Record, *, written: float, left: float, said: float, unread: int) -> Record:
    """The last request was written and left then, and its thread says so of its last message."""
    thread = {"lastMessageAt": at(said), "lastMessagePreview": LAST.text, "unreadCountGlobal": unread}
    return replace(
        record,
        outbox=changed(record.outbox, LAST.request_id, createdAt=at(written)),
        messages=changed(record.messages, message_id(LAST.key), timestamp=at(left)),
        threads=changed(record.threads, CHAT.thread_id, **thread),
    )


@pytest.mark.parametrize("said", [33.0, 35.0])
def test_a_reply_that_left_at_once_stands_where_it_was_written_or_where_it_left(said: float) -> None:
    assert not judge(CAST, last_reply(good_record(), written=33, left=35, said=said, unread=0)).findings


def test_a_reply_that_waited_is_last_where_it_left_and_answers_nothing_that_came_after_it_was_written() -> None:
    good = last_reply(good_record(), written=13, left=600, said=600, unread=UNREAD)
    assert not judge(CAST, good).findings
    for bad in (
        last_reply(good_record(), written=13, left=600, said=13, unread=UNREAD),
        last_reply(good_record(), written=13, left=600, said=600, unread=0),
    ):
        assert {finding.broken for finding in judge(CAST, bad).findings} == {Broken.MISCOUNTED}


def test_findings_hold_neither_numbers_nor_texts() -> None:
    for _, spoil in SPOILT.values():
        for finding in judge(CAST, spoil(good_record())).findings:
            told = f"{finding.where} {finding.what}"
            assert CHAT.contact.strip("+") not in told
            assert not any(request.text in told for request in REQUESTS)


def test_the_last_message_is_that_of_the_later_second_and_arrival() -> None:
    """Within a second, the fraction of a contact's time says nothing against when a reply was written."""
    record = good_record()
    name = message_id(f"{INBOUND[2].whatsapp_id}-in")
    record = replace(
        record,
        rows=changed(record.rows, name, timestamp=at(32) + timedelta(seconds=0.9)),
        messages=changed(record.messages, name, timestamp=at(32) + timedelta(seconds=0.9)),
    )
    assert not judge(CAST, last_reply(record, written=32.5, left=32.6, said=32.5, unread=0)).findings


def uncertain(record: Record, inbox: list[InboxMessage]) -> Record:
    """The second request has ended as outcome_unknown after all its attempts, with its alert; no connector said what came of them."""
    doubt, ended = alert_id(ErrorCode.OUTCOME_UNKNOWN, REQUEST), "outcome_unknown: no attempt was answered"
    return replace(
        record,
        outbox=changed(record.outbox, REQUEST, status="failed", attempts=8, lastError=ended),
        inboxes={CHAT.contact: inbox},
        frames=[frame(0), frame(2)],
        posts={**record.posts, REQUESTS[1].key: ["unknown"] * 8},
        alerts={doubt: Document(fields={"type": "outcome_unknown"}, created_at=at(0))},
    )


def test_under_chaos_an_uncertain_request_that_its_contact_has_not_is_honest() -> None:
    record = uncertain(good_record(), [shown(REQUESTS[place].key, REQUESTS[place].text) for place in (0, 2)])
    verdict = judge(CAST, record, chaos=True)
    assert (list(verdict.findings), verdict.uncertain) == ([], 1)
    assert {finding.broken for finding in judge(CAST, record).findings} == {Broken.LOST, Broken.MISCOUNTED}


def _without_alert(record: Record) -> Record:
    return replace(record, alerts={})


def _after_fewer_attempts(record: Record) -> Record:
    return replace(record, outbox=changed(record.outbox, REQUEST, attempts=3))


def _that_a_connector_knew(record: Record, outcome: str) -> Record:
    return replace(record, posts={**record.posts, REQUESTS[1].key: ["unknown", outcome]})


@pytest.mark.parametrize(
    "dishonest",
    [
        _without_alert,
        _after_fewer_attempts,
        lambda record: _that_a_connector_knew(record, "sent"),
        lambda record: _that_a_connector_knew(record, "rejected"),
    ],
)
def test_under_chaos_a_doubt_that_need_not_be_or_that_nobody_is_told_of_is_a_loss(
    dishonest: Callable[[Record], Record],
) -> None:
    record = uncertain(good_record(), [shown(REQUESTS[place].key, REQUESTS[place].text) for place in (0, 2)])
    verdict = judge(CAST, dishonest(record), chaos=True)
    assert Broken.LOST in {finding.broken for finding in verdict.findings}
    assert verdict.uncertain == 0


def test_under_chaos_an_uncertain_request_that_its_contact_has_is_judged_like_any_other() -> None:
    verdict = judge(CAST, uncertain(good_record(), list(good_record().inboxes[CHAT.contact])), chaos=True)
    assert [finding.broken for finding in verdict.findings] == [Broken.MISCOUNTED]


def test_under_chaos_alerts_about_a_condition_are_true_and_those_about_an_error_are_findings() -> None:
    def with_alert(alert_type: str) -> Record:
        return replace(good_record(), alerts={"x": Document(fields={"type": alert_type}, created_at=at(0))})

    assert not judge(CAST, with_alert("lease_flapping"), chaos=True).findings
    assert judge(CAST, with_alert("lease_flapping")).findings
    assert judge(CAST, with_alert("replaced"), chaos=True).findings
