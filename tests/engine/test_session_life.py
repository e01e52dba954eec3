"""What ends a connection, and what a session does about it; who owns a session, and how the process lives and dies."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from local import engine_build
from tests.engine.conftest import PHONE, Linked
from tests.engine.running import PATIENCE_S, EngineEnded, RunningEngine, State
from tests.waiting import stays_so
from tests.whatsapp import WhatsAppServer


async def test_a_lost_connection_comes_back_by_itself(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.drop(linked.device)
    assert (await linked.account.until_state(State.RECONNECTING)).reason == "disconnected"
    await linked.account.until_state(State.CONNECTED, after=3)
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")


async def test_a_stream_error_names_its_code(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.stream_error(linked.device, 503)
    assert (await linked.account.until_state(State.RECONNECTING)).reason == "stream_error_503"
    await linked.account.until_state(State.CONNECTED, after=3)


async def test_an_unknown_stream_error_is_survived(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.stream_error(linked.device, 599)
    assert (await linked.account.until_state(State.RECONNECTING)).reason == "stream_error_599"
    await linked.account.until_state(State.CONNECTED, after=3)


async def test_unanswered_pings_reset_the_connection(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    await engine.kill()
    await engine.start(WIRE_PING_MS="300")
    account = engine.account("shop")
    await account.open()
    await account.connected()
    await linked.device.ready()
    server.faults.fall_silent(linked.device)
    assert (await account.until_state(State.RECONNECTING)).reason == "keepalive_timeout"
    await account.until_state(State.CONNECTED, after=3)


async def test_each_loss_is_told_once(server: WhatsAppServer, linked: Linked) -> None:
    refused = server.faults.refuse_connections(times=3)
    server.faults.drop(linked.device)
    await linked.account.until_state(State.CONNECTED, after=2, within_s=40)
    assert refused.hits == 3
    assert linked.account.states == ["CONNECTING", "CONNECTED", "RECONNECTING", "CONNECTED"]


async def test_removal_on_the_phone_logs_out(server: WhatsAppServer, linked: Linked) -> None:
    await linked.phone.unlink(linked.device)
    assert (await linked.account.until_state(State.LOGGED_OUT)).reason == "device_removed"
    assert not (await linked.account.open()).paired
    phone = server.add_phone("+40733333333")
    code = await linked.account.pair()
    await phone.scan(code.qr)
    await linked.account.until_state(State.CONNECTED, after=len(linked.account.changes) - 1)


async def test_a_removal_that_nobody_heard_of_is_told_at_the_next_login(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    await engine.kill()
    await linked.phone.unlink(linked.device)
    await engine.start()
    account = engine.account("shop")
    assert (await account.open()).paired
    assert (await account.until_state(State.LOGGED_OUT)).reason == "connect_failure_401"
    await engine.kill()
    await engine.start()
    assert not (await engine.account("shop").open()).paired


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (402, State.BANNED, "temporary_ban"),
        (405, State.OUTDATED, "client_outdated"),
    ],
)
async def test_what_whatsapp_ends_is_tried_again_when_it_is_opened_again(
    server: WhatsAppServer, linked: Linked, code: int, state: "pb.SessionChanged.State.ValueType", reason: str
) -> None:
    barred = server.faults.login_failure(linked.phone, code)
    server.faults.drop(linked.device)
    assert (await linked.account.until_state(state)).reason == reason
    ended = await linked.account.send(linked.ana_jid, "3EB0AA", "hello")
    assert ended.outcome == pb.SendResponse.NOT_CONNECTED
    barred.end()
    seen = len(linked.account.changes)
    opened = await linked.account.claim()
    assert opened.paired, "the session is kept"
    await linked.account.until_state(State.CONNECTED, after=seen)


async def test_a_session_that_is_opened_elsewhere_is_replaced(server: WhatsAppServer, linked: Linked) -> None:
    server.faults.replace(linked.device)
    assert (await linked.account.until_state(State.REPLACED)).reason == "conflict"
    logins = linked.device.logins
    longer_than_the_first_back_off_s = 1.5
    await stays_so(
        lambda: linked.device.logins == logins,
        "two sessions would throw each other out for ever",
        longer_than_the_first_back_off_s,
    )
    seen = len(linked.account.changes)
    await linked.account.claim()
    await linked.account.until_state(State.CONNECTED, after=seen)


@pytest.mark.parametrize("code", [503, 500, 418])
async def test_a_login_that_is_refused_for_a_while_is_tried_again(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine, code: int
) -> None:
    server.faults.login_failure(linked.phone, code, times=1)
    await engine.kill()
    await engine.start()
    account = engine.account("shop")
    await account.open()
    assert (await account.until_state(State.RECONNECTING)).reason == f"connect_failure_{code}"
    await account.until_state(State.CONNECTED, within_s=40)


async def test_opening_again_under_the_same_epoch_changes_nothing(linked: Linked) -> None:
    await linked.account.claim()
    await linked.ana.send(linked.phone, "hello")
    await linked.account.until_message("hello")
    assert linked.account.states == ["CONNECTING", "CONNECTED"]


async def test_a_higher_epoch_takes_the_session_over(linked: Linked, engine: RunningEngine) -> None:
    linked.account.acknowledges = False
    await linked.ana.send(linked.phone, "unacknowledged")
    await linked.account.until_message("unacknowledged")
    successor = engine.account("shop", epoch=2)
    assert (await successor.open()).phone_e164 == PHONE
    await linked.account.until(lambda: linked.account.stream_ended, "the former stream's end")
    assert (linked.account.changes[-1].state, linked.account.changes[-1].reason) == (State.REPLACED, "taken_over")
    await successor.connected()
    await successor.until_message("unacknowledged")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await linked.account.acknowledge(1)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_stale_epoch_is_refused_after_a_restart_too(linked: Linked, engine: RunningEngine) -> None:
    await engine.account("shop", epoch=5).open()
    await engine.kill()
    await engine.start()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await engine.account("shop", epoch=4).open()
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_second_engine_on_the_same_store_takes_over_and_the_first_one_saves_nothing_more(
    server: WhatsAppServer, linked: Linked, engine: RunningEngine
) -> None:
    async with RunningEngine(store=engine.store, environment=server.environment()) as other:
        server.faults.refuse_connections(times=1)
        successor = other.account("shop", epoch=2)
        await successor.open()
        await linked.ana.send(linked.phone, "for the new owner")
        await successor.until_message("for the new owner", 40)
        assert linked.account.messages == []
        assert linked.account.states[-1] == "REPLACED"
        await linked.device.caught_up()


async def test_a_session_that_is_not_open_is_not_found(engine: RunningEngine) -> None:
    account = engine.account("nobody")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await account.pair()
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    await account.close()


async def test_a_closed_session_keeps_its_store(server: WhatsAppServer, linked: Linked) -> None:
    await linked.account.close()
    await server.until(lambda: not linked.device.is_connected, what="the connection's end")
    await linked.ana.send(linked.phone, "meanwhile")
    opened = await linked.account.open()
    assert opened.paired
    await linked.account.until_message("meanwhile")


async def test_unacknowledged_events_outlive_a_logout(linked: Linked) -> None:
    linked.account.acknowledges = False
    await linked.ana.send(linked.phone, "before")
    await linked.account.until_message("before")
    await linked.account.stub.Logout(pb.LogoutRequest(session=linked.account.session), timeout=PATIENCE_S)
    await linked.account.stub.Logout(pb.LogoutRequest(session=linked.account.session), timeout=PATIENCE_S)
    assert linked.account.states[-1] == "CONNECTED", "a logout tells no event: its caller knows"
    again = linked.account.engine.account("shop")
    await again.open()
    await again.until_message("before")


# The process


async def test_a_stopped_engine_ends_well_and_soon(linked: Linked, engine: RunningEngine) -> None:
    began = time.monotonic()
    assert await engine.stop() == 0
    assert time.monotonic() - began < 3.0


async def test_an_engine_ends_with_the_process_that_started_it(server: WhatsAppServer, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "engine = subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL)\n"
        "print(engine.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(engine_build.WIRETEST_ENGINE), "--socket", str(tmp_path / "socket")]
    environment = {**os.environ, **server.environment(), "ENGINE_STORE": f"sqlite:{tmp_path}/sessions.db"}
    parent = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    deadline = time.monotonic() + PATIENCE_S
    while not (tmp_path / "socket").exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    began = time.monotonic()
    while _runs(pid):
        assert time.monotonic() - began < 3.0
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("store", "arguments"),
    [
        ("", ["--socket", "unused"]),
        ("mysql://somewhere", ["--socket", "unused"]),
        ("sqlite:relative.db", ["--socket", "unused"]),
        ("sqlite:/unused.db", []),
    ],
)
def test_settings_that_cannot_be_used_are_said_in_one_line(
    server: WhatsAppServer, store: str, arguments: list[str]
) -> None:
    run = subprocess.run(
        [engine_build.RELEASE_ENGINE, *arguments],
        env={**os.environ, "ENGINE_STORE": store},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1


async def test_the_released_engine_does_not_trust_another_root_key(server: WhatsAppServer, tmp_path: Path) -> None:
    """It is led to the test server by a proxy and a certificate that it trusts: only the root key stands in between."""
    async with WhatsAppServer(tls=True) as impostor:
        environment = {
            **impostor.environment(),
            "HTTPS_PROXY": f"http://127.0.0.1:{impostor.port}",
            "SSL_CERT_FILE": str(impostor.ca_file),
        }
        released = RunningEngine(
            store=f"sqlite:{tmp_path}/released.db", environment=environment, program=engine_build.RELEASE_ENGINE
        )
        async with released:
            account = released.account("shop")
            await account.open()
            await account.stub.Pair(pb.PairRequest(session=account.session), timeout=PATIENCE_S)
            ended = await account.until(
                lambda: next((event for event in account.events if event.HasField("pairing_ended")), None), "the end"
            )
            failed = (ended.pairing_ended.result, ended.pairing_ended.reason)
            assert failed == (pb.PairingEnded.FAILED, "handshake_failed")
            assert impostor.refused_hosts == []


async def test_the_log_names_nobody(server: WhatsAppServer, linked: Linked, engine: RunningEngine) -> None:
    server.faults.corrupt_next(linked.ana)
    written = await linked.ana.send(linked.phone, "a secret text")
    await linked.account.until_message("a secret text")
    await linked.account.send("40799999999@s.whatsapp.net", "3EB0AABBCCDD", "another secret")
    server.faults.drop(linked.device)
    await linked.account.until_state(State.CONNECTED, after=3)
    log = "\n".join(engine.log)
    for secret in ("secret", "40722222222", "40711111111", linked.ana.lid.user, "40799999999", written.id, "3EB0AA"):
        assert secret not in log
    assert re.search(r'"accountId":"shop"', log)


async def test_an_engine_whose_store_cannot_be_opened_says_so_and_ends(server: WhatsAppServer, tmp_path: Path) -> None:
    engine = RunningEngine(store=f"sqlite:{tmp_path}/no/such/folder.db", environment=server.environment())
    with pytest.raises(EngineEnded):
        await engine.start()
    assert engine.process is not None
    assert engine.process.returncode == 1


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
