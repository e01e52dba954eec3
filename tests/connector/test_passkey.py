"""WhatsApp asks for the account's passkey while a device is linked: a super-admin sees the request, and answers it."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from core.account import CommandKind
from core.ids import AccountId
from local.control_client import ControlRefused
from local.network.passkey import ORIGIN, Passkey, request_options
from local.project import ROOT
from local.whatsapp import NetworkKind
from tests.connector.conftest import Shared
from tests.connector.stage import Connector, Stage, new_phone, read_qr
from tests.waiting import wait_until

NETWORKS = tuple(NetworkKind)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A pairing that waits for the passkey."""

    stage: Stage
    connector: Connector
    account: AccountId
    phone: str
    linking: "Future[str]"
    """Over the wire, the phone waits for the passkey, too."""

    @property
    def passkey(self) -> dict[str, str]:
        found: dict[str, str] = self.stage.private_state(self.account)["passkey"]
        return found

    def signed(self) -> str:
        return self.stage.network.sign(self.phone, self.passkey["request"])

    def answer(self, answer: object) -> httpx.Response:
        return self.connector.post(f"/v1/accounts/{self.account}/answer-passkey", {"answer": answer})


@contextmanager
def asked_for_passkey(stage: Stage, connector: Connector, account: AccountId, phone: str) -> Iterator[Asked]:
    """The phone has taken the account's QR code."""
    stage.network.want_passkey(phone)
    stage.command(connector, account, CommandKind.PAIR_QR)
    qr = read_qr(wait_until(lambda: stage.private_state(account).get("qrCodeDataUrl"), "a QR code"))
    with ThreadPoolExecutor(1) as threads:
        linking = threads.submit(_scan, stage, phone, account, qr)
        wait_until(lambda: stage.private_state(account).get("passkey"), "a passkey's request")
        yield Asked(stage=stage, connector=connector, account=account, phone=phone, linking=linking)


def _scan(stage: Stage, phone: str, account: AccountId, qr: str) -> str:
    try:
        stage.scan(phone, account, qr)
    except ControlRefused as refused:
        return refused.reason
    return "linked"


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def in_browser(page_script: str, credential: Any, origin: str = ORIGIN) -> dict[str, Any]:
    """What a page that runs the script asked for, and what it shows after the click."""
    given = json.dumps({"script": page_script, "origin": origin, "credential": credential})
    page = ROOT / "tests/connector/web_whatsapp.cjs"
    done = subprocess.run(["node", page], input=given, capture_output=True, text=True, check=True, timeout=30)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_the_script_shows_in_the_browser_links_the_device(shared: Shared) -> None:
    stage, connector, phone = shared.stage, shared.connector, new_phone()
    account = stage.create_account()
    with asked_for_passkey(stage, connector, account, phone) as asked:
        shown = stage.private_state(account)
        assert stage.account(account)["status"] == "qr_ready"
        assert (shown["qrCodeDataUrl"], shown["pairingCode"]) == (None, None)
        assert 0 < (shown["qrExpiresAt"] - shown["qrGeneratedAt"]).total_seconds() <= 300
        assert "threadlineAnswerPasskey" in shown["passkey"]["whatToDo"]
        page = in_browser(shown["passkey"]["script"], json.loads(asked.signed()))
        assert asked.answer(page["shown"]).json() == {}
        stage.await_connected(account)
    assert stage.private_state(account)["passkey"] is None
    assert stage.account(account)["phoneE164"] == phone
    assert stage.account(account)["lastError"] is None


def test_a_wrong_answer_ends_the_pairing_and_it_can_be_begun_again(shared: Shared) -> None:
    stage, connector, phone = shared.stage, shared.connector, new_phone()
    account = stage.create_account()
    with asked_for_passkey(stage, connector, account, phone) as asked:
        wrong = Passkey().sign(asked.passkey["request"])
        assert error_of(asked.answer(wrong)) == (409, "passkey_refused")
        failed = stage.await_status(account, "needs_qr")
    assert failed["lastError"].startswith("pairing_failed: WhatsApp refused the passkey's answer")
    assert "remove the passkey" in failed["lastError"]
    assert stage.private_state(account)["passkey"] is None
    with asked_for_passkey(stage, connector, account, phone) as again:
        assert again.answer(again.signed()).status_code == 200
        stage.await_connected(account)


def test_an_answer_that_cannot_be_meant_is_refused_and_the_pairing_goes_on(shared: Shared) -> None:
    stage, connector, phone = shared.stage, shared.connector, new_phone()
    account = stage.create_account()
    with asked_for_passkey(stage, connector, account, phone) as asked:
        of_another_request = stage.network.sign(phone, request_options(b"another challenge, of 32 bytes..."))
        wrong: list[object] = [None, {}, "", "no JSON", of_another_request]
        for answer in wrong:
            response = asked.answer(answer)
            assert error_of(response) == (400, "invalid_request")
            assert "answer" in response.json()["error"]["message"]
        assert stage.private_state(account)["passkey"] is not None
        assert asked.answer(asked.signed()).status_code == 200
        stage.await_connected(account)


def test_a_request_that_nobody_answers_expires_and_is_erased(stage: Stage) -> None:
    connector, account = stage.start_connector(wait=True, **stage.short_passkey(1.5)), stage.create_account()
    with asked_for_passkey(stage, connector, account, new_phone()) as asked:
        signed = asked.signed()
        expired = stage.await_status(account, "needs_qr")
        assert expired["lastError"].startswith("pairing_expired: nobody signed with the passkey in time")
        assert stage.private_state(account)["passkey"] is None
        response = asked.answer(signed)
        assert error_of(response) == (409, "passkey_not_wanted")
        assert "expired" in response.json()["error"]["message"]


def test_an_answer_without_a_pairing_is_refused(shared: Shared) -> None:
    stage, connector = shared.stage, shared.connector
    account = stage.create_account()
    connector.poke(account)
    stage.await_status(account, "needs_qr")
    answer = {"answer": Passkey().sign(request_options(bytes(32)))}
    response = connector.post(f"/v1/accounts/{account}/answer-passkey", answer)
    assert error_of(response) == (409, "passkey_not_wanted")
    assert error_of(connector.post("/v1/accounts/nobody/answer-passkey", answer)) == (409, "not_connected")


def test_a_request_does_not_outlive_its_connector(stage: Stage) -> None:
    connector, account = stage.start_connector(), stage.create_account()
    with asked_for_passkey(stage, connector, account, new_phone()):
        stage.kill(connector)
        stage.start_connector()
        stage.await_status(account, "needs_qr")
        assert stage.private_state(account)["passkey"] is None


def test_nothing_of_the_answer_is_logged_or_kept(stage: Stage) -> None:
    connector, account, phone = stage.start_connector(), stage.create_account(), new_phone()
    with asked_for_passkey(stage, connector, account, phone) as asked:
        request, signed = json.loads(asked.passkey["request"]), asked.signed()
        assert asked.answer(signed).status_code == 200
        stage.await_connected(account)
    metrics = connector.get("/metrics").text
    stage.stop(connector)
    written = [metrics, connector.child.log_text(), *map(str, (stage.account(account), stage.private_state(account)))]
    written.append(str(stage.lease(account)))
    answered = json.loads(signed)
    for secret in (request["challenge"], answered["id"], *answered["response"].values()):
        assert secret is None or all(secret not in text for text in written)
