"""`pair`: against the simulated network, with a real connector."""

import base64
import io
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import segno

from connector.admin.qr_picture import NotDrawable, drawn, modules
from connector.pairing import qr_data_url
from core import schema
from core.ids import AccountId
from tests.connector.stage import Stage, new_phone, read_qr
from tests.connector_admin.inbox import Inbox
from tests.connector_admin.running import CommandLine
from tests.waiting import stays, wait_until

CODE = "2@" + "a1B/" * 60


_begun: "list[subprocess.Popen[str]]" = []


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """After a test that has failed midway."""
    yield
    while _begun:
        process = _begun.pop()
        process.kill()
        process.communicate()


class Screen:
    """What a run prints, as it comes."""

    def __init__(self, stage: Stage, *arguments: str) -> None:
        self.process = CommandLine(project=stage.project).begin("pair", *arguments)
        _begun.append(self.process)
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.text += line

    def end(self) -> tuple[int, str]:
        """Status and standard error."""
        status = self.process.wait(60)
        self._reader.join()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        _begun.remove(self.process)
        with self.process.stderr as errors:
            return status, errors.read()

    def drawings(self) -> list[list[list[bool]]]:
        """The QR codes that were drawn, module by module, true for dark, without their frame."""
        found: list[list[list[bool]]] = []
        rows: list[list[bool]] = []
        for line in [*self.text.splitlines(), ""]:
            if line and not set(line) - set("█▀▄ "):
                rows.append([sign not in "█▀" for sign in line])
                rows.append([sign not in "█▄" for sign in line])
            elif rows:
                found.append([row[2:-2] for row in rows[2 : len(rows[0]) - 2]])
                rows = []
        return found


def qr_of(stage: Stage, account: AccountId) -> str | None:
    found = stage.private_state(account).get("qrCodeDataUrl")
    return found if isinstance(found, str) else None


def test_the_qr_code_is_shown_changes_and_ends_with_the_connection(simulated_stage: Stage) -> None:
    stage, phone = simulated_stage, new_phone()
    connector, account = stage.start_connector(wait=True, **stage.short_codes(4.0)), stage.create_account()
    screen = Screen(stage, account)
    first = wait_until(lambda: qr_of(stage, account), "a QR code")
    wait_until(lambda: len(screen.drawings()) >= 1, "a drawing")

    def next_qr(before: str) -> str | None:
        found = qr_of(stage, account)
        return found if found != before else None

    second = wait_until(lambda: next_qr(first), "the next QR code")
    wait_until(lambda: len(screen.drawings()) >= 2, "the next drawing")
    assert [modules(first), modules(second)] == screen.drawings()[:2]
    stage.network.scan(phone, read_qr(qr_of(stage, account) or ""))
    status, errors = screen.end()
    assert (status, errors) == (0, "")
    assert f"Connected: {phone}." in screen.text
    assert stage.account(account)["status"] == "connected"
    assert phone not in connector.child.log_text()


def test_a_phone_code_is_shown_as_text(simulated_stage: Stage) -> None:
    stage, phone = simulated_stage, new_phone()
    stage.start_connector()
    account = stage.create_account()
    screen = Screen(stage, account, "--phone", phone)
    code = str(wait_until(lambda: stage.private_state(account).get("pairingCode"), "a code"))
    wait_until(lambda: f"Type this code: {code}" in screen.text, "the code on the screen")
    stage.enter_code(phone, account, code)
    assert screen.end() == (0, "")


def test_a_passkeys_script_is_shown_with_what_to_do(simulated_stage: Stage) -> None:
    stage, phone = simulated_stage, new_phone()
    connector, account = stage.start_connector(), stage.create_account()
    stage.network.want_passkey(phone)
    screen = Screen(stage, account)
    stage.network.scan(phone, read_qr(wait_until(lambda: qr_of(stage, account), "a QR code")))
    passkey = wait_until(lambda: stage.private_state(account).get("passkey"), "a passkey's request")
    wait_until(lambda: passkey["script"] in screen.text, "the script on the screen")
    assert screen.text.count(passkey["script"]) == 1
    assert "threadlineAnswerPasskey" in screen.text
    answer = {"answer": stage.network.sign(phone, passkey["request"])}
    assert connector.post(f"/v1/accounts/{account}/answer-passkey", answer).status_code == 200
    assert screen.end() == (0, "")


def test_codes_that_nobody_uses_end_it_with_what_to_do(simulated_stage: Stage) -> None:
    stage = simulated_stage
    stage.start_connector(wait=True, **stage.short_codes(1.0))
    account = stage.create_account()
    status, errors = Screen(stage, account).end()
    assert status == 1
    assert "pairing_expired" in errors
    assert f"pair {account}" in errors


def test_an_earlier_failure_is_not_taken_for_this_one(simulated_stage: Stage) -> None:
    """The test is the owner, who takes its time between the command's end and the code."""
    stage, account = simulated_stage, simulated_stage.create_account()
    document, lease = (stage.db.collection(name).document(account) for name in (schema.ACCOUNTS, schema.LEASES))
    document.update({"lastError": "pairing_expired: nobody used the code in time"})
    screen = Screen(stage, account)
    wait_until(lambda: stage.lease(account).command is not None, "it is asked for")
    lease.update({"command": None})
    stays(lambda: screen.process.poll() is None, "it waits for the code", 2.0)
    document.update({"status": "connected", "phoneE164": new_phone()})
    assert screen.end() == (0, "")


def test_interrupted_it_ends_at_once(simulated_stage: Stage) -> None:
    account = simulated_stage.create_account()
    screen = Screen(simulated_stage, account)
    wait_until(lambda: "Asked for a pairing" in screen.text, "it has begun")
    assert simulated_stage.lease(account).command is not None
    screen.process.send_signal(signal.SIGINT)
    status, errors = screen.end()
    assert (status, errors.strip()) == (130, "")


def test_without_a_connector_it_says_so_and_gives_up_in_time(simulated_stage: Stage) -> None:
    account = simulated_stage.create_account()
    screen = Screen(simulated_stage, account, "--wait", "22")
    status, errors = screen.end()
    assert status == 1
    assert "no connector owns the account" in screen.text
    assert "not connected within 22 s" in errors
    assert simulated_stage.lease(account).wanted


def test_on_a_terminal_each_code_takes_the_place_of_the_one_before(simulated_stage: Stage) -> None:
    stage = simulated_stage
    stage.start_connector(wait=True, **stage.short_codes(2.0))
    account = stage.create_account()
    admin = CommandLine(project=stage.project)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "connector.admin", "pair", account]
    process = subprocess.Popen(command, env=admin._environment(), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while not (lines := _lines_of_two_codes(shown)) or lines[1] < lines[0]:
            shown += os.read(ours, 65536)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert lines[0] == lines[1] > 10


def _lines_of_two_codes(shown: bytes) -> tuple[int, int] | None:
    """How many lines of a code stand before the screen was wiped, and how many after it; None while it was not."""
    before, wiped, after = shown.partition(b"\x1b[J")
    return (before.count(b"\x1b[97;40m"), after.count(b"\x1b[97;40m")) if wiped else None


def test_a_connected_account_is_not_paired_again(inbox: Inbox) -> None:
    account = inbox.account()
    assert f"logout {account}" in inbox.admin.fails(1, "pair", account)


def test_a_number_that_is_none_is_wrong_usage(inbox: Inbox) -> None:
    assert "a phone number must be" in inbox.admin.fails(2, "pair", "shop-1", "--phone", "0712345678")


def test_a_drawing_has_the_modules_of_the_code() -> None:
    made = segno.make_qr(CODE, error="l")
    assert modules(qr_data_url(CODE)) == [[bool(module) for module in row] for row in made.matrix]
    size = len(made.matrix) + 4
    assert [len(line) for line in drawn(qr_data_url(CODE), coloured=False)] == [size] * ((size + 1) // 2)


@pytest.mark.parametrize("damage", ["data:image/png;base64,AAAA", "", "no address", qr_data_url(CODE)[:400]])
def test_what_is_no_such_picture_is_not_drawn(damage: str) -> None:
    with pytest.raises(NotDrawable):
        drawn(damage, coloured=False)


def test_a_picture_in_colours_is_not_drawn() -> None:
    out = io.BytesIO()
    segno.make_qr(CODE).save(out, kind="png", dark="#123456")
    with pytest.raises(NotDrawable):
        drawn("data:image/png;base64," + base64.b64encode(out.getvalue()).decode(), coloured=False)
