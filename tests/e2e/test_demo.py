"""`make demo`, whole: what it shows stands, and however it ends, no process is left."""

import dataclasses
import os
import signal
import socket
import time

import pytest

from core import schema
from core.ids import outbound_key, parse_thread_id, thread_id, wa_message_id
from local.demo import record
from local.demo.record import Shown
from local.project import OUT
from local.suite_ports import SuitePorts
from tests.e2e.demo_run import make_demo
from tests.local import survivors

pytestmark = pytest.mark.timeout(300)


def test_the_demo_once_shows_the_conversation_in_its_order_and_leaves_no_process() -> None:
    with make_demo("once=1") as demo:
        run_id = demo.run_id()
        status = demo.await_end()
        assert status == 0, demo.output
        shown = [
            "sees the QR code",
            "▀▀▀▀",
            "status connected",
            "sees a new thread: Ana",
            "sees Ana: Hello!",
            "sees the outbox document queued",
            "sees the outbox document sending",
            "✓ sent",
            "✓✓ delivered",
            "✓✓ read",
            "sees Ana: Perfect",
            "What was shown stands",
        ]
        positions = [demo.output.find(text) for text in shown]
        assert -1 not in positions, demo.output
        assert positions == sorted(positions), demo.output
        assert "\u001b[" not in demo.output, "no colours where there is no terminal"
        survivors.await_none(run_id)


def test_the_demo_stays_up_takes_lines_and_ends_every_process_on_ctrl_c() -> None:
    with make_demo() as demo:
        run_id = demo.run_id()
        demo.await_line("Ctrl-C ends everything")
        _check_that_the_record_can_contradict(demo.offset, Shown.read(OUT / "runs" / run_id / "shown.json"))
        demo.write_line("Is there parking?\nAnd is the kitchen still open?")
        assert "sees Ana" in demo.await_line("Is there parking?")
        assert "sees Ana" in demo.await_line("And is the kitchen still open?")
        os.killpg(demo.process.pid, signal.SIGINT)  # as a terminal does: to make and to what it runs
        demo.await_end()
        assert "Ended; no process is left." in demo.output
        assert "Traceback" not in demo.output
        survivors.await_none(run_id)


def _check_that_the_record_can_contradict(offset: int, shown: Shown) -> None:
    """What --once ends with holds for this conversation, and not for one that differs in anything."""
    address = record.Addresses.of(SuitePorts.shifted(offset))
    assert record.contradictions(address, shown) == []
    other_words = dataclasses.replace(shown, outbound=["Something else"])
    assert any("the contact's app" in line for line in record.contradictions(address, other_words))
    assert any("employee's message" in line for line in record.contradictions(address, other_words))
    one_more = dataclasses.replace(shown, inbound=[*shown.inbound, "Never written"])
    assert any("what the contact wrote" in line for line in record.contradictions(address, one_more))
    account, chat = parse_thread_id(shown.request_id.rpartition("_")[0])
    message = wa_message_id(thread_id(account, chat), outbound_key(shown.request_id))
    with record.server_client(address) as client:
        reference = client.collection(schema.MESSAGES).document(message)
        reference.update({"delivery": "delivered"})
        assert record.contradictions(address, shown) == [
            "the employee's message: delivery is 'delivered', shown was 'read'"
        ]


def test_a_killed_make_takes_the_starting_demo_with_it() -> None:
    with make_demo() as demo:
        run_id = demo.run_id()
        deadline = time.monotonic() + 60
        while len(survivors.of_run(run_id)) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        demo.process.kill()
        survivors.await_none(run_id)


def test_a_killed_make_takes_the_running_demo_with_it() -> None:
    with make_demo() as demo:
        run_id = demo.run_id()
        demo.await_line("Ctrl-C ends everything")
        assert len(survivors.of_run(run_id)) > 8
        demo.process.kill()
        survivors.await_none(run_id)


def test_taken_ports_are_named_at_once() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offset = taken - SuitePorts.shifted(0).connector
        began = time.monotonic()
        with make_demo(offset=offset) as demo:
            assert demo.await_end(limit_s=20) != 0
        assert time.monotonic() - began < 10
        assert f"{taken} (connector)" in demo.output
        assert f"PORT_OFFSET={offset + 100}" in demo.output
        assert "Traceback" not in demo.output
