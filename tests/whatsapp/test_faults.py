"""Faults strike whom they name, as often as they were asked for, and no longer."""

from tests.whatsapp.faults import Fault, FaultBook

SHOP, ANA, BOB = "+40722222222", "+40711111111", "+40733333333"


def test_a_fault_strikes_everybody_unless_it_names_one() -> None:
    book = FaultBook()
    book.add(Fault(kind="refuse", contact=ANA, code=463))
    assert book.take("refuse", phone=SHOP, contact=BOB) is None
    assert book.take("hold_acks", phone=SHOP, contact=ANA) is None
    struck = book.take("refuse", phone=SHOP, contact=ANA)
    assert struck is not None
    assert struck.code == 463


def test_a_fault_strikes_as_often_as_it_was_asked_for() -> None:
    book = FaultBook()
    fault = book.add(Fault(kind="corrupt", times=2))
    assert [book.take("corrupt") is fault for _ in range(3)] == [True, True, False]
    assert fault.hits == 2


def test_what_a_fault_held_comes_once_when_it_ends() -> None:
    released: list[str] = []
    fault = FaultBook().add(Fault(kind="hold_acks"))
    fault.when_over(lambda: released.append("ack"))
    fault.end()
    fault.end()
    assert released == ["ack"]


def test_a_fault_that_has_struck_for_the_last_time_holds_until_it_is_ended() -> None:
    book, released = FaultBook(), list[str]()
    fault = book.add(Fault(kind="hold_acks", times=1))
    struck = book.take("hold_acks")
    assert struck is fault
    struck.when_over(lambda: released.append("ack"))
    assert book.take("hold_acks") is None
    assert not released
    fault.end()
    assert released == ["ack"]


def test_a_fault_that_is_over_strikes_no_more() -> None:
    book = FaultBook()
    book.add(Fault(kind="mute:ping")).end()
    assert book.take("mute:ping") is None


def test_clearing_ends_all() -> None:
    book = FaultBook()
    faults = [book.add(Fault(kind=kind)) for kind in ("refuse", "delay")]
    book.clear()
    assert all(fault.is_over for fault in faults)
    assert book.take("refuse") is None
