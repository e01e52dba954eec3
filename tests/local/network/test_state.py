"""Contacts, faults, codes and accounts as plain values, without a process."""

import random
from itertools import pairwise

import pytest

from connector.contract.engine_pb2 import Event, MessageReceived, SessionChanged
from local.network.account import Account, Incoming
from local.network.contacts import Addressing, Contact, InboxMessage
from local.network.faults import FaultBook, FaultKind
from local.network.pairing import QR_CODES, Pairing
from local.network.world import World
from local.refusals import NotPossible
from tests.local.network.driver import ANA, ANA_JID, SHOP, ends_ms

OTHER_SHOP = "+40700000002"


def contact() -> Contact:
    return Contact(phone=ANA, name="Ana")


def message(whatsapp_id: str, sender: str = SHOP, text: str = "hello") -> InboxMessage:
    return InboxMessage(sender=sender, whatsapp_id=whatsapp_id, text=text, timestamp_s=1)


def test_the_app_shows_a_message_once_for_each_sender_and_id() -> None:
    ana = contact()
    for received in (message("A"), message("A", text="again"), message("A", sender=OTHER_SHOP), message("B")):
        ana.receive(received)
    assert ana.inbox == [message("A"), message("A", sender=OTHER_SHOP), message("B")]


def test_a_contact_reads_what_one_sender_wrote_and_only_once() -> None:
    ana = contact()
    for received in (message("A"), message("B"), message("C", sender=OTHER_SHOP)):
        ana.receive(received)
    assert ana.read(SHOP, ["B"]) == ["B"]
    assert ana.read(SHOP) == ["A"]
    assert ana.read(SHOP) == []
    assert ana.read(OTHER_SHOP) == ["C"]


def test_a_contact_shows_the_names_that_its_addressing_tells() -> None:
    ana = contact()
    assert ana.names(Addressing.NUMBER) == (ANA_JID, ana.lid)
    assert ana.names(Addressing.NUMBER_ONLY) == (ANA_JID, "")
    assert ana.names(Addressing.LID) == (ana.lid, ANA_JID)
    assert ana.names(Addressing.LID_ONLY) == (ana.lid, "")
    assert ana.lid == contact().lid
    assert ana.lid.endswith("@lid")
    assert ANA.removeprefix("+") not in ana.lid


@pytest.mark.parametrize(
    ("account", "contact", "strikes"),
    [
        (None, None, True),
        (SHOP, None, True),
        (None, ANA, True),
        (SHOP, ANA, True),
        (OTHER_SHOP, None, False),
        (None, "+40722222222", False),
        (SHOP, "+40722222222", False),
    ],
)
def test_a_fault_strikes_whom_it_was_asked_for(account: str | None, contact: str | None, strikes: bool) -> None:
    book = FaultBook()
    book.add(FaultKind.SILENT, account=account, contact=contact)
    assert book.take(FaultKind.DROP, SHOP, ANA) is None
    assert (book.take(FaultKind.SILENT, SHOP, ANA) is not None) is strikes


def test_faults_of_a_kind_are_used_up_one_after_the_other() -> None:
    book = FaultBook()
    book.add(FaultKind.REFUSE, times=2, code="463")
    book.add(FaultKind.REFUSE, times=None, code="479")
    taken = [book.take(FaultKind.REFUSE, SHOP, ANA) for _ in range(4)]
    assert [fault.code for fault in taken if fault is not None] == ["463", "463", "479", "479"]
    assert [fault.times for fault in book.all()] == [0, None]


def test_clearing_ends_one_fault_or_all() -> None:
    book = FaultBook()
    ids = [book.add(FaultKind.SILENT).fault_id for _ in range(3)]
    assert book.clear(ids[1]) == [ids[1]]
    assert book.clear(ids[1]) == []
    assert book.clear() == [ids[0], ids[2]]
    assert book.take(FaultKind.SILENT, SHOP, ANA) is None


@pytest.mark.parametrize(("phone", "codes"), [(None, QR_CODES), (SHOP, 1)])
def test_each_code_is_good_until_the_next_one_or_its_end(phone: str | None, codes: int) -> None:
    pairing = Pairing(phone=phone, random=random.Random(1))
    shown = []
    for number in range(codes):
        code = pairing.next_code(now=number * 20.0, lifetime_s=20.0)
        assert code is not None
        assert code.expires_at_unix_ms == (number + 1) * 20_000
        shown.append(code.qr or code.phone_code)
        assert pairing.accepts(shown[-1], now=number * 20.0 + 19.9)
        assert not pairing.accepts(shown[-1], now=number * 20.0 + 20.0)
    assert not any(pairing.accepts(old, now=0) for old, _ in pairwise(shown))
    assert pairing.next_code(now=codes * 20.0, lifetime_s=20.0) is None
    assert not pairing.accepts(shown[-1], now=0)


def test_a_seed_repeats_ids_and_codes() -> None:
    def first_code(seed: int | None) -> str:
        code = World(lambda: 0.0, seed).new_pairing(None).next_code(0.0, 20.0)
        assert code is not None
        return code.qr

    assert first_code(7) == first_code(7)
    assert first_code(7) != first_code(8)
    assert first_code(None) != first_code(None)


def incoming(text: str) -> Incoming:
    return Incoming(event=Event(message=MessageReceived(whatsapp_id=text, text=text)), contact=ANA)


def account() -> Account:
    """Paired, not open."""
    account = Account("shop", FaultBook())
    account.phone = SHOP
    return account


def test_the_first_stream_begins_with_what_happened_since_the_account_was_opened() -> None:
    shop = account()
    shop.admit(incoming("offline"))
    shop.open(1, ends_ms(60))
    shop.admit(incoming("early"))

    stream = shop.attach()

    states = [event.session.state for event in stream.queue if event.HasField("session")]
    assert states == [SessionChanged.CONNECTING, SessionChanged.CONNECTED]
    assert [event.message.text for event in stream.queue if event.HasField("message")] == ["offline", "early"]
    assert [event.sequence for event in stream.queue] == [0, 0, 1, 2, 3], "the backlog's own word is the second"


def test_sequences_go_on_over_sessions() -> None:
    shop = account()
    shop.open(1, ends_ms(60))
    shop.admit(incoming("one"))
    shop.acknowledge(1)
    shop.open(2, ends_ms(60))
    shop.admit(incoming("two"))
    assert [event.sequence for event in shop.unacknowledged] == [2]


def test_a_stale_owner_can_do_nothing_even_when_nobody_holds_the_session() -> None:
    shop = account()
    shop.open(2, ends_ms(60))
    shop.close(2)
    for call in (lambda epoch: shop.open(epoch, ends_ms(60)), shop.close, shop.require):
        with pytest.raises(NotPossible):
            call(1)
