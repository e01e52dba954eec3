"""Error 463, end to end: the message waits in its queue, its alert is open, answers go, and when the lock ends it leaves once."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from core import ids, schema
from core.ids import RequestId
from local.network.faults import FaultKind
from tests.e2e.outside import EVENT_LOST_S, Outside, User
from tests.e2e.test_callables import account_of, pair, request_of, store, wait_for_status, written
from tests.waiting import wait_until

__all__ = ["store"]  # the fixture

pytestmark = pytest.mark.timeout(240)

OURS = "+40312000463"
STRANGER, KNOWN = "+40712000463", "+40712000464"
LOCK_S = 30.0
"""Longer than an answer takes that is written when the lock begins."""


def open_alerts(store: firestore.Client, account: str) -> list[str]:
    query = store.collection(schema.ALERTS).where(filter=FieldFilter("accountId", "==", account))
    found = [snapshot.to_dict() or {} for snapshot in query.stream()]
    return [alert["type"] for alert in found if alert["resolvedAt"] is None]


def test_a_cold_message_that_whatsapp_refuses_waits_for_the_locks_end_and_is_sent_once(
    outside: Outside, super_admin: User, employee: User, store: firestore.Client
) -> None:
    network = outside.network
    account = pair(outside, super_admin, store, OURS)
    for contact in (STRANGER, KNOWN):
        network.add_contact(contact, "Ion")
    threads = [
        outside.call(employee, "threadlineStartConversation", {"accountId": account, "phoneE164": contact}).result[
            "threadId"
        ]
        for contact in (STRANGER, KNOWN)
    ]
    network.write(KNOWN, OURS, text="Are you open?")
    known = store.collection(schema.THREADS).document(threads[1])
    wait_until(
        lambda: (known.get().to_dict() or {}).get("contactWroteAt"), "the contact's message stands", EVENT_LOST_S
    )

    network.fault(FaultKind.REFUSE, account=OURS, contact=STRANGER, code="463", times=1, seconds=LOCK_S)
    cold = written(store, employee, threads[0], "We have moved.")

    def refused() -> dict[str, Any] | None:
        found = request_of(store, cold)
        return found if str(found.get("lastError")).startswith("cold_locked: ") else None

    waiting = wait_until(refused, "the request says why it waits", 60)
    assert (waiting["status"], waiting["attempts"]) == ("queued", 0)
    answer = written(store, employee, threads[1], "Until six.")
    wait_until(lambda: request_of(store, answer).get("status") == "sent", "the answer goes out", 60)
    assert request_of(store, cold)["status"] == "queued"
    assert network.inbox(STRANGER) == []
    locked = wait_until(lambda: account_of(store, account).get("coldLockedUntil"), "the account says so, too")
    assert account_of(store, account)["degradedReason"].startswith("cold_locked: ")
    wait_until(lambda: open_alerts(store, account) == ["cold_locked"], "the alert")

    sent = wait_until(lambda: (found := request_of(store, cold)).get("status") == "sent" and found, "it is sent", 60)
    assert datetime.now(UTC) > locked
    assert (sent["attempts"], sent["lastError"]) == (1, None)
    key = ids.outbound_key(RequestId(cold))
    assert [shown.whatsapp_id for shown in network.inbox(STRANGER)] == [key]
    assert [frame.whatsapp_id for frame in network.frames(contact=STRANGER)] == [key]
    wait_for_status(store, account, "connected")
    wait_until(lambda: account_of(store, account)["degraded"] is False, "the lock is over", 60)
    wait_until(lambda: open_alerts(store, account) == [], "the alert is over")
