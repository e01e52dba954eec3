"""The engine over the real protocol, under the connector that runs it, against the wire-level server."""

import os
import signal
import time
from functools import partial
from pathlib import Path

from local import engine_build
from local.whatsapp import NetworkKind
from tests.connector.stage import Connector, Stage, new_phone
from tests.connector.test_engine_process import epoch_s, is_gone, logged, running_engine, served_at_s, serves
from tests.connector.test_sending import new_key
from tests.waiting import wait_until

NETWORKS = (NetworkKind.REAL,)


def released(stage: Stage, tmp_path: Path) -> Connector:
    """With the released engine, which is given nothing to connect to."""
    own = {"ENGINE_BINARY": str(engine_build.RELEASE_ENGINE), "ENGINE_STORE": f"sqlite:{tmp_path}/engine.db"}
    connector = stage.start_connector(wait=True, **own)
    wait_until(lambda: serves(connector), "the engine serves")
    return connector


def test_the_released_engine_serves_its_connector_and_ends_with_it(stage: Stage, tmp_path: Path) -> None:
    connector = released(stage, tmp_path)
    account = stage.create_account()
    connector.poke(account)
    stage.await_status(account, "needs_qr")
    assert connector.get("/readyz").status_code == 200
    engine = running_engine(connector)
    began = time.monotonic()
    assert stage.stop(connector) == 0
    assert time.monotonic() - began < 10
    assert is_gone(engine)
    assert logged(connector, "engine_killed") == []
    assert logged(connector, "engine_ended") == []


def test_the_released_engine_is_gone_within_a_second_of_its_connector(stage: Stage, tmp_path: Path) -> None:
    connector = released(stage, tmp_path)
    engine = running_engine(connector)
    os.kill(connector.child.process.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(engine), "the engine's end", limit_s=1)
    connector.child.process.wait(timeout=5)


def test_a_killed_engine_comes_back_with_its_session_and_what_came_meanwhile(
    stage: Stage,
) -> None:
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    chat = stage.network.add_contact(theirs, "Ana").lid
    wait_until(lambda: serves(connector), "the engine serves")
    account = stage.paired_account(connector, ours)
    for kills in range(1, 4):
        running_engine(connector).kill()
        killed_at = time.time()
        whatsapp_id = stage.network.write(theirs, ours, f"after kill {kills}")
        told = stage.await_status(account, "connected", reconnectCount=kills)
        assert told["disconnectReason"] is None
        stage.await_row(account, f"{whatsapp_id}-in")
        ended = logged(connector, "engine_ended")[-1]
        connected = [line for line in logged(connector, "status_changed") if line["status"] == "connected"][-1]
        assert epoch_s(ended) - killed_at < 1, "noticed within a second"
        assert 0 < epoch_s(connected) - served_at_s(connector) < 1, "open within a second of serving"
        assert connector.send(account, chat, new_key()) == {"outcome": "sent"}


def test_a_frozen_engine_is_killed_and_nothing_is_lost(stage: Stage) -> None:
    """Frozen in the middle of its work: the connector renews the leases and the engine does nothing for them."""
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    chat = stage.network.add_contact(theirs, "Ana").lid
    wait_until(lambda: serves(connector), "the engine serves")
    account = stage.paired_account(connector, ours)
    written = []
    for freezes in range(1, 4):
        written += [stage.network.write(theirs, ours, f"before {freezes}") for _ in range(5)]
        frozen = running_engine(connector)
        frozen.suspend()
        written += [stage.network.write(theirs, ours, f"while frozen {freezes}") for _ in range(5)]
        wait_until(partial(is_gone, frozen), "it is killed")
        stage.await_connected(account, reconnectCount=freezes)
        assert connector.send(account, chat, new_key()) == {"outcome": "sent"}
    for whatsapp_id in written:
        stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert [row["payload"]["whatsappId"] for row in stage.rows(account).values() if row["eventType"] == "message"] == [
        *written
    ], "each once, in order"
    assert len(logged(connector, "engine_silent")) == 3
    assert stage.lease(account).epoch == 1
