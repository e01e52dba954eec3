"""The connector runs its engine: a process that may die at any moment, and takes nothing with it."""

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.network.faults import FaultKind
from local.project import ROOT
from tests.connector.stage import Connector, Stage, new_phone
from tests.connector.test_sending import new_key
from tests.waiting import stays, wait_until

SECRET = "s3cret-of-the-store"
STORE = f"postgres://engine:{SECRET}@database/engine"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An engine's program that runs under the tests' own Python."""
    script = tmp_path / "engine"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/connector/relayed_engine.py" "$@"\n')
    script.chmod(0o755)
    return script


def start(stage: Stage, program: Path, *, wait: bool = True, **environment: str) -> Connector:
    own = {"ENGINE_SOCKET": "", "ENGINE_BINARY": str(program), "ENGINE_STORE": STORE, "RELAY_TO": stage.socket}
    return stage.start_connector(wait=wait, **own, **environment)


def engine_of(connector: Connector) -> psutil.Process | None:
    """The connector's engine, where one runs."""
    children = psutil.Process(connector.child.process.pid).children()
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return alive[0] if alive else None


def running_engine(connector: Connector) -> psutil.Process:
    return wait_until(lambda: engine_of(connector), "a running engine")


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def logged(connector: Connector, event: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in connector.child.log_text().splitlines())
    return [line for line in lines if line["event"] == event]


def serves(connector: Connector) -> bool:
    return len(logged(connector, "engine_serves")) == len(logged(connector, "engine_started"))


def test_a_killed_engine_is_started_again_and_its_sessions_are_open_within_a_second(
    stage: Stage, program: Path
) -> None:
    connector, ours, theirs = start(stage, program), new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = stage.paired_account(connector, ours)
    for kills in range(1, 4):
        running_engine(connector).kill()
        killed_at = time.time()
        told = stage.await_status(account, "reconnecting", reconnectCount=kills)
        assert told["disconnectReason"] == "engine_failed"
        whatsapp_id = stage.network.write(theirs, ours, f"after kill {kills}")
        stage.await_row(account, f"{whatsapp_id}-in")
        again = stage.await_status(account, "connected", reconnectCount=kills)
        assert again["disconnectReason"] is None
        ended = logged(connector, "engine_ended")[-1]
        assert epoch_s(ended) - killed_at < 1, "noticed within a second"
        assert ended["status"] == -signal.SIGKILL
        connected = [line for line in logged(connector, "status_changed") if line["status"] == "connected"][-1]
        assert 0 < epoch_s(connected) - served_at_s(connector) < 1, "open within a second of serving"
        assert connector.metric("connector_engine_restarts_total") == kills
    stage.await_acknowledged(account)


def served_at_s(connector: Connector) -> float:
    """When the last engine said that it serves."""
    return epoch_s([line for line in logged(connector, "engine") if line["message"] == "the engine serves"][-1])


def epoch_s(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def test_a_session_opens_at_once_when_an_engine_that_was_long_down_serves(stage: Stage, program: Path) -> None:
    connector, ours = start(stage, program), new_phone()
    account = stage.paired_account(connector, ours)
    script = program.read_text()
    program.write_text("#!/bin/sh\nexit 3\n")
    running_engine(connector).kill()
    # By now a session that tried again and again would wait for seconds.
    wait_until(lambda: [end for end in logged(connector, "engine_ended") if end["restartsInSeconds"] > 2], "back-off")
    assert stage.account(account)["status"] == "reconnecting"
    program.write_text(script)
    stage.await_status(account, "connected")
    connected = logged(connector, "status_changed")[-1]
    assert 0 < epoch_s(connected) - served_at_s(connector) < 1


def test_a_send_under_way_when_the_engine_dies_ends_unknown_and_its_receipt_comes_through_the_next(
    stage: Stage, program: Path
) -> None:
    connector, ours, theirs, key = start(stage, program), new_phone(), new_phone(), new_key()
    account = stage.paired_account(connector, ours)
    chat = stage.network.add_contact(theirs, "Ana").lid
    stage.network.fault(FaultKind.SILENT, contact=theirs)
    with ThreadPoolExecutor() as callers:
        sending = callers.submit(connector.send, account, chat, key)
        wait_until(lambda: stage.network.frames(whatsapp_id=key), "the frame")
        running_engine(connector).kill()
        killed_at = time.monotonic()
        assert sending.result() == {"outcome": "unknown", "reason": "engine_unavailable"}
        assert time.monotonic() - killed_at < 1
    stage.await_row(account, f"{key}-receipt-delivered")
    stage.await_status(account, "connected", reconnectCount=1)


def test_a_killed_connector_takes_its_engine_with_it(stage: Stage, program: Path) -> None:
    connector = start(stage, program)
    engine = running_engine(connector)
    os.kill(connector.child.process.pid, signal.SIGKILL)  # it alone, not its group
    wait_until(lambda: is_gone(engine), "the engine's end", limit_s=1)
    connector.child.process.wait(timeout=5)


@pytest.mark.parametrize("interrupted", [False, True], ids=["SIGTERM", "Ctrl-C in a terminal"])
def test_an_engine_ends_with_its_connector_after_its_sessions_are_closed(
    stage: Stage, program: Path, interrupted: bool
) -> None:
    connector = start(stage, program)
    account = stage.paired_account(connector, new_phone())
    engine = running_engine(connector)
    socket_folder = Path(engine.cmdline()[-1]).parent
    assert socket_folder.stat().st_mode & 0o777 == 0o700
    if interrupted:
        os.killpg(connector.child.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        connector.child.process.wait(timeout=15)
    assert stage.stop(connector) == 0
    assert is_gone(engine)
    assert not socket_folder.exists()
    assert not stage.network.accounts()[account].is_open
    assert [line["message"] for line in logged(connector, "engine")] == ["the engine serves", "the engine has stopped"]
    assert logged(connector, "engine_failed") == []
    assert logged(connector, "engine_ended") == []


def test_an_engine_that_does_not_heed_sigterm_is_made_to_end(stage: Stage, program: Path) -> None:
    connector = start(stage, program, RELAY_MODE="deaf")
    wait_until(lambda: serves(connector), "the engine serves")
    engine = running_engine(connector)
    began = time.monotonic()
    assert stage.stop(connector) == 0
    assert time.monotonic() - began < 10
    assert is_gone(engine)
    assert len(logged(connector, "engine_killed")) == 1


def test_while_it_has_no_engine_a_connector_is_not_ready_and_claims_nothing(stage: Stage, program: Path) -> None:
    account = stage.create_account()
    script = program.read_text()
    program.write_text("#!/bin/sh\nexit 3\n")
    connector = start(stage, program)
    ready = connector.get("/readyz")
    assert (ready.status_code, ready.json()["engine"]) == (503, False)
    connector.poke(account)
    wait_until(lambda: len(logged(connector, "engine_ended")) > 2, "it was tried again")
    stays(lambda: logged(connector, "lease_claimed") == [], "no account is taken without an engine", 1)
    program.write_text(script)
    stage.await_status(account, "needs_qr")
    wait_until(lambda: connector.get("/readyz").status_code == 200, "it is ready")


def test_neither_the_store_nor_what_a_crash_says_is_logged(stage: Stage, program: Path) -> None:
    connector = start(stage, program, RELAY_MODE="panic")
    ends = wait_until(lambda: logged(connector, "engine_ended"), "the engine crashed")
    assert ends[0]["status"] == 2
    said, crashed = logged(connector, "engine")[:2]
    assert (said["severity"], said["message"], said["store"]) == ("INFO", "the engine serves", "postgres")
    assert (crashed["severity"], crashed["at"]) == ("ERROR", "threadline/engine/main.go:27")
    log = connector.child.log_text()
    assert SECRET not in log
    assert "hello" not in log


def test_a_frozen_engine_is_killed_and_its_sessions_open_in_the_next(stage: Stage, program: Path) -> None:
    connector, ours, theirs = start(stage, program), new_phone(), new_phone()
    stage.network.add_contact(theirs, "Ana")
    account = stage.paired_account(connector, ours)
    frozen = running_engine(connector)
    frozen.suspend()
    whatsapp_id = stage.network.write(theirs, ours, "while it is frozen")
    stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_connected(account, reconnectCount=1)
    assert is_gone(frozen)
    assert len(logged(connector, "engine_silent")) == 1
    assert stage.lease(account).epoch == 1
    assert connector.metric("connector_leases_lost_total") == 0
