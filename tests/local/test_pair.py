"""`make pair` against the wire-level server, since no phone can be part of a test; and that the released engine trusts no such server."""

import itertools
import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import engine_build, ports, whatsapp
from local.engine_build import RELEASE_ENGINE, WIRETEST_ENGINE
from local.network.client import Network
from local.processes import Child, Processes, printed
from local.project import PYTHONPATH, ROOT
from local.whatsapp import NetworkKind
from tests.waiting import wait_until

_numbers = itertools.count(1)
OURS, THEIRS = "+40700009001", "+40700009002"
PAIR = (
    "import sys; from pathlib import Path; from local import pair; sys.exit(pair.main(sys.argv[2:], Path(sys.argv[1])))"
)


@pytest.fixture(scope="module")
def wire(processes: Processes) -> Iterator[tuple[Network, dict[str, str]]]:
    """People and phones, and how an engine reaches them."""
    engine_build.build()
    control_port = ports.free_port()
    stand_in = whatsapp.spawn(processes, NetworkKind.REAL, control_port=control_port, scale={}, name="network-of-pair")
    environment = stand_in.connector_environment(processes)
    yield Network(control_port), environment
    processes.stop(stand_in.child)


def start(processes: Processes, engine: Path, folder: Path, environment: dict[str, str]) -> Child:
    return processes.spawn(
        f"pair-{next(_numbers)}",
        [sys.executable, "-c", PAIR, engine, "--folder", folder],
        environment={**environment, "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1"},
        grace_s=10.0,
    )


def shown_qr(child: Child) -> str:
    return qr_in(child.log_text())


def qr_in(text: str) -> str:
    """What a phone's camera reads off the last code in the terminal."""
    blocks = re.findall(r"(?:^[█▀▄ ]{20,}\n)+", text, re.MULTILINE)
    rows = []
    for line in blocks[-1].splitlines():
        rows.append([block in "█▀" for block in line])  # a light module in the upper half
        rows.append([block in "█▄" for block in line])
    reader = ROOT / "tests/connector/read_qr.cjs"
    run = subprocess.run(["node", reader], input=picture(rows), capture_output=True, text=True, check=True, timeout=30)
    return run.stdout


def picture(rows: list[list[bool]], scale: int = 4) -> str:
    """A PNG in a data: URL, white where true."""
    size = len(rows[0]) * scale
    line = [b"\0" + b"".join((b"\xff" if light else b"\0") * scale for light in row) for row in rows]
    data = zlib.compress(b"".join(each for each in line for _ in range(scale)))
    header = struct.pack(">IIBBBBB", size, len(rows) * scale, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def test_a_phone_is_linked_texts_are_counted_and_the_next_run_connects_at_once(
    processes: Processes, wire: tuple[Network, dict[str, str]], tmp_path: Path
) -> None:
    network, environment = wire
    network.add_contact(THEIRS, "Ana")
    child = start(processes, WIRETEST_ENGINE, tmp_path / "kept", environment)
    processes.await_ready(child, lambda _: "█" in child.log_text())
    network.scan(OURS, wait_until(lambda: shown_qr(child), "a code that can be read"))
    processes.await_ready(child, printed("Connected."))
    for _ in range(2):
        network.write(THEIRS, OURS, "a secret text")
    processes.await_ready(child, printed("Texts received: 2"))
    os.kill(child.process.pid, signal.SIGINT)
    assert child.process.wait(timeout=20) == 0
    assert "The session is kept in" in child.log_text()
    assert "a secret text" not in child.log_text()
    assert OURS.strip("+") not in child.log_text()

    network.write(THEIRS, OURS, "while nobody listened")
    again = start(processes, WIRETEST_ENGINE, tmp_path / "kept", environment)
    processes.await_ready(again, printed("Texts received: 1"))
    assert "█" not in again.log_text()
    processes.stop(again)
    assert again.process.returncode == 0
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_the_passkeys_answer_is_taken_from_the_terminal(wire: tuple[Network, dict[str, str]], tmp_path: Path) -> None:
    network, environment = wire
    phone = "+40700009003"
    network.want_passkey(phone)
    shown = tmp_path / "shown"
    with shown.open("w") as out, ThreadPoolExecutor(1) as threads:
        child = subprocess.Popen(
            [sys.executable, "-c", PAIR, WIRETEST_ENGINE, "--folder", tmp_path / "kept"],
            env={**os.environ, **environment, "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE, stdout=out, text=True,
        )  # fmt: skip
        try:
            wait_until(lambda: "█" in shown.read_text(), "a code")
            linking = threads.submit(network.scan, phone, wait_until(lambda: qr_in(shown.read_text()), "a code"))
            request = wait_until(lambda: re.search(r"signForThreadline\((\{.*\})\);", shown.read_text()), "the script")
            assert child.stdin is not None
            child.stdin.write("no answer\n")
            child.stdin.flush()
            wait_until(lambda: "Not taken: the answer cannot be read" in shown.read_text(), "a complaint")
            answer = network.sign(phone, request[1])
            child.stdin.write(f"{answer}\n")
            child.stdin.flush()
            wait_until(lambda: "Connected." in shown.read_text(), "the link")
            linking.result(20)
            child.send_signal(signal.SIGINT)
            assert child.wait(20) == 0
        finally:
            child.kill()
            child.communicate()
    written = shown.read_text() + (tmp_path / "kept/pair.log").read_text()
    assert json.loads(answer)["response"]["signature"] not in written


def test_the_released_engine_shows_no_code_of_a_server_whose_root_key_is_not_whatsapps(
    processes: Processes, tmp_path: Path
) -> None:
    engine_build.build()
    file = tmp_path / "wire.json"
    arguments = [sys.executable, "-m", "tests.whatsapp", "--tls", "--environment-file", str(file)]
    server = processes.start(
        "tls-whatsapp", arguments, environment={"PYTHONPATH": PYTHONPATH}, ready=printed("ready "), grace_s=2.0
    )
    told = json.loads(file.read_text())
    # All that it can be told: the way to the server, and that its certificate is good.
    way = {"HTTPS_PROXY": f"http://{told['WIRE_SERVER']}", "SSL_CERT_FILE": told["WIRE_CA"], **told}
    trusting = start(processes, WIRETEST_ENGINE, tmp_path / "trusting", way)
    processes.await_ready(trusting, lambda _: "█" in trusting.log_text())
    processes.stop(trusting)
    child = start(processes, RELEASE_ENGINE, tmp_path / "kept", way)
    assert child.process.wait(timeout=60) == 1
    # The connection stood and TLS was good: it is WhatsApp's own handshake that shows another root key.
    assert "the pairing has failed: WhatsApp refused: handshake_failed" in child.log_text()
    assert "█" not in child.log_text()
    processes.stop(server)
