"""What waits for a device stays until it is confirmed, in order."""

from tests.whatsapp.jid import Jid
from tests.whatsapp.node import Node
from tests.whatsapp.offline_queue import OfflineQueue

ANA = Jid("40711111111")


def _message(message_id: str) -> Node:
    return Node("message", {"from": ANA, "id": message_id, "type": "text"})


def _receipt(message_id: str, kind: str | None) -> Node:
    return Node("receipt", {"from": ANA, "id": message_id, "type": kind})


def test_stanzas_leave_in_any_order_and_the_rest_keeps_its_own() -> None:
    queue = OfflineQueue()
    for number in range(4):
        queue.add(_message(str(number)))
    assert queue.confirm(("message", "2", "", str(ANA)))
    assert queue.confirm(("message", "0", "", str(ANA)))
    assert [stanza.text("id") for stanza in queue.stanzas] == ["1", "3"]


def test_a_delivered_and_a_read_receipt_of_one_message_wait_side_by_side() -> None:
    queue = OfflineQueue()
    queue.add(_receipt("1", None))
    queue.add(_receipt("1", "read"))
    queue.confirm(("receipt", "1", "read", str(ANA)))
    assert [stanza.text("type") for stanza in queue.stanzas] == [None]


def test_an_id_that_was_used_twice_needs_two_confirmations() -> None:
    queue = OfflineQueue()
    queue.add(_message("1"))
    queue.add(_message("1"))
    assert queue.confirm(("message", "1", "", str(ANA)))
    assert len(queue) == 1
    assert queue.confirm(("message", "1", "", str(ANA)))
    assert not queue.confirm(("message", "1", "", str(ANA)))


def test_what_was_added_after_an_entry_is_found() -> None:
    queue = OfflineQueue()
    first = queue.add(_message("1"))
    second = queue.add(_message("2"))
    assert queue.after(first.number) == [second]
    assert queue.after(0) == [first, second]
