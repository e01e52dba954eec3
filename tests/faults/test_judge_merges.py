"""What the judge says of a chat whose two threads become one."""

from dataclasses import replace
from typing import Any

import pytest

from local.faults.cast import Cast
from local.faults.judge import judge
from local.faults.record import Document, Record
from local.faults.verdict import Broken
from tests.faults.good_record import ACCOUNT, CHAT, good_record

JOINED = replace(CHAT, merges=True)
CAST = Cast(accounts=[ACCOUNT], chats=[JOINED])
FIRST, LAST = CAST.inbound(JOINED)[0], CAST.inbound(JOINED)[2]
"""Both came under the number, the first one before the merge."""


def found(record: Record) -> set[Broken]:
    return {finding.broken for finding in judge(CAST, record).findings}


def of_thread(record: Record, name: str, **fields: Any) -> Record:
    stored = record.threads[name]
    return replace(record, threads={**record.threads, name: replace(stored, fields={**stored.fields, **fields})})


def test_a_merge_in_which_everything_went_well_breaks_nothing() -> None:
    assert not judge(CAST, good_record(JOINED)).findings


@pytest.mark.parametrize("into", [None, "shop_another@lid"])
def test_two_threads_that_did_not_become_one(into: str | None) -> None:
    assert found(of_thread(good_record(JOINED), JOINED.former_thread_id, mergedInto=into)) == {Broken.MISCOUNTED}


def test_unread_messages_that_are_counted_in_both_threads() -> None:
    assert found(of_thread(good_record(JOINED), JOINED.former_thread_id, unreadCountGlobal=1)) == {Broken.MISCOUNTED}


def test_messages_under_the_former_name_that_who_opens_the_thread_does_not_see() -> None:
    assert found(of_thread(good_record(JOINED), JOINED.thread_id, mergedFrom=[])) == {Broken.LOST}


def test_a_message_that_stands_under_both_names() -> None:
    record = good_record(JOINED)
    under_lid, under_number = FIRST.message_ids
    twice: dict[str, Document] = {**record.messages, under_lid: record.messages[under_number]}
    assert found(replace(record, messages=twice)) == {Broken.DUPLICATED}


def test_a_message_that_stands_under_no_name() -> None:
    record = good_record(JOINED)
    left = {name: message for name, message in record.messages.items() if name not in LAST.message_ids}
    assert Broken.LOST in found(replace(record, messages=left))
