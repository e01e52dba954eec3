"""A contact who writes under the number and under the LID has one thread, whichever name comes first, with replies on their way under both."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from core import ids, schema
from core.ids import RequestId
from local.network.contacts import Addressing, lid_of, number_jid
from local.network.faults import FaultKind
from local.whatsapp import NetworkKind
from tests.e2e.outside import EVENT_LOST_S, Outside, User
from tests.e2e.test_callables import pair, request_of, store, uid_of, written
from tests.waiting import wait_until

__all__ = ["store"]  # the fixture

pytestmark = pytest.mark.timeout(420)

OURS = "+40312000016"
TOLD_LATER, BY_LIST, HOSTED = "+40712000071", "+40712000072", "+40712000073"


@pytest.fixture(scope="module")
def account(outside: Outside, super_admin: User, store: firestore.Client) -> str:
    return pair(outside, super_admin, store, OURS)


def document(store: firestore.Client, collection: str, name: str) -> dict[str, Any]:
    return store.collection(collection).document(name).get().to_dict() or {}


def under_number(account: str, contact: str) -> str:
    return f"{account}_{number_jid(contact)}"


def under_lid(account: str, contact: str) -> str:
    return f"{account}_{lid_of(contact)}"


def texts_of(store: firestore.Client, thread: str) -> list[str]:
    """What an employee reads: `messagesOfThread` of docs/clients.md."""
    names = [thread, *document(store, schema.THREADS, thread).get("mergedFrom", [])]
    query = store.collection(schema.MESSAGES).where(filter=FieldFilter("threadId", "in", names))
    return [snapshot.get("text") for snapshot in query.order_by("timestamp").stream()]


def await_texts(store: firestore.Client, thread: str, texts: list[str]) -> None:
    wait_until(lambda: texts_of(store, thread) == texts, f"the thread shows {texts}", EVENT_LOST_S)


@contextmanager
def listening(store: firestore.Client, account: str) -> Iterator[list[list[str]]]:
    """What an employee's open list of the account's threads has shown, each time that it changed (`threadsOfAccount`)."""
    shown: list[list[str]] = []
    query = store.collection(schema.THREADS).where(filter=FieldFilter("accountId", "==", account))
    query = query.order_by("lastMessageAt", direction=firestore.Query.DESCENDING)
    listener = query.on_snapshot(lambda snapshots, *_: shown.append([each.id for each in snapshots]))
    try:
        wait_until(lambda: shown, "the list is shown")
        yield shown
    finally:
        listener.unsubscribe()


def threads_of(shown: list[list[str]], account: str, contact: str) -> list[list[str]]:
    names = {under_number(account, contact), under_lid(account, contact)}
    return [[each for each in ids if each in names] for ids in shown]


def test_a_chat_under_a_number_becomes_one_with_the_lid_while_replies_are_on_their_way_under_both_names(
    outside: Outside, employee: User, account: str, store: firestore.Client
) -> None:
    network, old, new = outside.network, under_number(account, TOLD_LATER), under_lid(account, TOLD_LATER)
    network.add_contact(TOLD_LATER, "Ion", addressing=Addressing.NUMBER_ONLY)
    network.write(TOLD_LATER, OURS, text="one")
    await_texts(store, old, ["one"])
    pinned = store.collection(schema.prefs_of(uid_of(employee))).document(old)
    pinned.set({"pinned": True})

    with listening(store, account) as shown:
        receipts = network.fault(FaultKind.HOLD_RECEIPTS, contact=TOLD_LATER, times=None)
        network.fault(FaultKind.DELAY_AFTER, contact=TOLD_LATER, seconds=4.0, times=1)
        requests = [written(store, employee, old, "first reply")]
        wait_until(lambda: network.frames(contact=TOLD_LATER), "the first reply is on its way", EVENT_LOST_S)

        network.add_contact(TOLD_LATER, "Ion", addressing=Addressing.LID)
        network.write(TOLD_LATER, OURS, text="two")
        wait_until(
            lambda: document(store, schema.THREADS, old).get("mergedInto") == new, "the threads merge", EVENT_LOST_S
        )
        requests += [written(store, employee, new, "second reply"), written(store, employee, old, "third reply")]
        for request in requests:
            wait_until(lambda: request_of(store, request).get("status") == "sent", "it is sent", EVENT_LOST_S)  # noqa: B023 - called in this round
        network.clear_faults(receipts)
        for request in requests:
            message = f"{request.rpartition('_')[0]}_{ids.outbound_key(RequestId(request))}"
            wait_until(
                lambda: document(store, schema.MESSAGES, message).get("delivery") == "delivered",  # noqa: B023 - as above
                "its receipt finds the message",
                EVENT_LOST_S,
            )
        assert shown[-1].count(new) == 1
        assert all(len(each) == 1 for each in threads_of(shown, account, TOLD_LATER))

    assert [message.text for message in network.inbox(TOLD_LATER)] == ["first reply", "second reply", "third reply"]
    assert sorted(texts_of(store, new)) == sorted(["one", "first reply", "two", "second reply", "third reply"])
    assert document(store, schema.THREADS, new)["unreadCountGlobal"] == 0
    assert document(store, schema.THREADS, new)["clientPhoneE164"] == TOLD_LATER
    assert document(store, schema.prefs_of(uid_of(employee)), new) == {"pinned": True}
    assert not pinned.get().exists


@pytest.mark.parametrize(
    ("contact", "first"),
    [
        pytest.param(BY_LIST, Addressing.LID_ONLY, id="by the LID alone, as over a broadcast list"),
        pytest.param(HOSTED, Addressing.HOSTED, id="by the LID, with the number of a hosted device"),
    ],
)
def test_a_contact_who_writes_by_lid_first_and_by_number_later_has_one_thread(
    outside: Outside,
    account: str,
    store: firestore.Client,
    network_kind: NetworkKind,
    contact: str,
    first: Addressing,
) -> None:
    """Over the wire, the second message names the number alone: the engine looks the LID up. The simulated engine has always done so."""
    by_number = Addressing.NUMBER_ONLY if network_kind is NetworkKind.REAL else Addressing.NUMBER
    network, thread = outside.network, under_lid(account, contact)
    network.add_contact(contact, "Ion", addressing=first)
    with listening(store, account) as shown:
        network.write(contact, OURS, text="one")
        await_texts(store, thread, ["one"])
        network.write(contact, OURS, text="two", addressing=by_number)
        await_texts(store, thread, ["one", "two"])
        assert all(len(each) <= 1 for each in threads_of(shown, account, contact))
    assert not store.collection(schema.THREADS).document(under_number(account, contact)).get().exists
    assert document(store, schema.THREADS, thread)["unreadCountGlobal"] == 2
    assert document(store, schema.THREADS, thread)["clientPhoneE164"] == contact
