"""WhatsApp asks for the account's passkey while a device is linked."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from connector.clock import now_s
from connector.contract import engine_pb2 as pb
from local.network.passkey import Passkey, encoded
from tests.engine.conftest import PHONE
from tests.engine.running import PATIENCE_S, Account, RunningEngine, State
from tests.whatsapp import Device, PairingRefused, Phone, WhatsAppServer

Result = pb.AnswerPasskeyResponse.Result


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A pairing that waits for the passkey's answer; `linking` is what the phone does."""

    account: Account
    phone: Phone
    passkey: Passkey
    linking: "asyncio.Task[Device]"
    request: pb.PasskeyRequest

    def signed(self) -> str:
        return self.passkey.sign(self.request.options_json)

    async def answer(self, assertion: str) -> "Result.ValueType":
        return await answer(self.account, assertion)

    async def ended(self) -> pb.PairingEnded:
        return (await self.account.until(lambda: _last(self.account, "pairing_ended"), "its end")).pairing_ended


async def answer(account: Account, assertion: str) -> "Result.ValueType":
    request = pb.AnswerPasskeyRequest(session=account.session, assertion_json=assertion)
    response: pb.AnswerPasskeyResponse = await account.stub.AnswerPasskey(request, timeout=PATIENCE_S)
    return response.result


async def ask(server: WhatsAppServer, account: Account, *, by_code: bool = False) -> Asked:
    """The phone has taken the code; WhatsApp wants the passkey."""
    phone = next(iter(server.phones), None) or server.add_phone(PHONE)
    passkey = phone.passkey = phone.passkey or Passkey()
    seen = len(account.events)
    code = await account.pair(PHONE if by_code else "")
    linking = asyncio.create_task(phone.enter_code(code.phone_code) if by_code else phone.scan(code.qr))
    event = await account.until(lambda: _last(account, "passkey_request", seen), "a passkey's request")
    return Asked(account=account, phone=phone, passkey=passkey, linking=linking, request=event.passkey_request)


def _last(account: Account, kind: str, seen: int = 0) -> pb.Event | None:
    found = [event for event in account.events[seen:] if event.WhichOneof("kind") == kind]
    return found[-1] if found else None


@pytest.fixture
async def account(engine: RunningEngine) -> Account:
    account = engine.account("shop")
    await account.open()
    return account


@pytest.fixture
async def asked(server: WhatsAppServer, account: Account) -> Asked:
    return await ask(server, account)


@pytest.mark.parametrize("by_code", [False, True])
async def test_the_passkeys_answer_links_the_device(server: WhatsAppServer, account: Account, by_code: bool) -> None:
    asked = await ask(server, account, by_code=by_code)
    assert await asked.answer(asked.signed()) == pb.AnswerPasskeyResponse.TAKEN
    device = await asked.linking
    connected = await account.until_state(State.CONNECTED)
    assert (connected.phone_e164, connected.device.number) == (PHONE, device.number)
    assert await asked.ended() == pb.PairingEnded(result=pb.PairingEnded.PAIRED, phone_e164=PHONE)
    ana = server.add_contact("+40722222222")
    await ana.send(asked.phone, "the device can read")
    await account.until_message("the device can read")


async def test_the_request_is_what_a_browser_takes(asked: Asked) -> None:
    options = json.loads(asked.request.options_json)
    assert options["rpId"] == "whatsapp.com"
    assert options["userVerification"] == "required"
    assert (options["allowCredentials"], options["extensions"]) == ([], {"uvm": True})
    assert len(options["challenge"]) == 43
    left_s = asked.request.expires_at_unix_ms / 1000 - time.time()
    assert 240 < left_s <= 300, "whatsmeow proves for five minutes whose code was used"


async def test_a_wrong_answer_is_refused_and_the_pairing_can_begin_again(server: WhatsAppServer, asked: Asked) -> None:
    stranger = Passkey()
    assert await asked.answer(stranger.sign(asked.request.options_json)) == pb.AnswerPasskeyResponse.REFUSED
    ended = await asked.ended()
    assert (ended.result, ended.reason) == (pb.PairingEnded.FAILED, "passkey_refused")
    with pytest.raises(PairingRefused):
        await asked.linking
    assert asked.phone.devices == []
    again = await ask(server, asked.account)
    assert again.request.options_json != asked.request.options_json
    assert await again.answer(again.signed()) == pb.AnswerPasskeyResponse.TAKEN
    await again.linking
    await asked.account.connected()


async def test_an_answer_of_a_page_that_is_not_whatsapps_is_refused(asked: Asked) -> None:
    """WhatsApp's check, not the engine's: a browser signs at whatsapp.com alone."""
    elsewhere = asked.passkey.sign(asked.request.options_json, origin="https://example.com")
    assert await asked.answer(elsewhere) == pb.AnswerPasskeyResponse.REFUSED
    assert (await asked.ended()).reason == "passkey_refused"
    with pytest.raises(PairingRefused):
        await asked.linking


def _without(name: str, answer: dict[str, Any]) -> str:
    at, _, last = name.rpartition(".")
    (answer[at] if at else answer).pop(last)
    return json.dumps(answer)


async def test_an_answer_that_lacks_something_says_what_and_may_be_given_again(asked: Asked) -> None:
    needed = ["id", "rawId", "type", "response.clientDataJSON", "response.authenticatorData", "response.signature"]
    for missing in needed:
        lacking = _without(missing, json.loads(asked.signed()))
        await refused(asked, lacking, grpc.StatusCode.INVALID_ARGUMENT, f"{missing} is missing")
    assert await asked.answer(asked.signed()) == pb.AnswerPasskeyResponse.TAKEN
    await asked.linking


async def test_what_is_no_assertion_is_refused_without_being_quoted(asked: Asked) -> None:
    for malformed in ("", "null", "[]", "no JSON", '{"rawId": "not base64!"}', '{"id": 1}'):
        details = await refused(asked, malformed, grpc.StatusCode.INVALID_ARGUMENT, "the answer")
        assert len(malformed) < 5 or malformed not in details
    assert await asked.answer(asked.signed()) == pb.AnswerPasskeyResponse.TAKEN
    await asked.linking


async def test_an_answer_to_an_earlier_request_does_not_end_the_pairing(server: WhatsAppServer, asked: Asked) -> None:
    again = await ask(server, asked.account)
    await refused(again, asked.signed(), grpc.StatusCode.INVALID_ARGUMENT, "another request")
    assert await again.answer(again.signed()) == pb.AnswerPasskeyResponse.TAKEN
    await again.linking
    with pytest.raises(PairingRefused):
        await asked.linking


async def test_an_answer_that_no_pairing_waits_for_is_refused(server: WhatsAppServer, account: Account) -> None:
    some = Passkey().sign(json.dumps({"challenge": encoded(b"some"), "rpId": "whatsapp.com"}))
    for begin in (None, account.pair):
        if begin is not None:
            await begin()
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await answer(account, some)
        assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "no pairing waits" in str(failure.value.details())
    asked = await ask(server, account)
    assert await asked.answer(asked.signed()) == pb.AnswerPasskeyResponse.TAKEN
    await asked.linking
    await account.connected()
    await refused(asked, asked.signed(), grpc.StatusCode.FAILED_PRECONDITION, "no pairing waits")


async def test_a_passkey_that_nobody_uses_ends_the_pairing_which_can_begin_again(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    await engine.kill()
    await engine.start(WIRE_PASSKEY_MS="400")
    account = engine.account("shop")
    await account.open()
    asked = await ask(server, account)
    ended = await asked.ended()
    assert (ended.result, ended.reason) == (pb.PairingEnded.EXPIRED, "passkey_expired")
    await refused(asked, asked.signed(), grpc.StatusCode.FAILED_PRECONDITION, "expired")
    with pytest.raises(PairingRefused):
        await asked.linking
    asked.phone.passkey = None
    await asked.phone.scan((await account.pair()).qr)
    await account.connected()


async def test_an_answer_that_was_taken_and_that_nothing_follows_ends_the_pairing_as_such(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    server.faults.stall_passkey()
    await engine.kill()
    await engine.start(WIRE_PASSKEY_MS="1500")
    account = engine.account("shop")
    await account.open()
    asked = await ask(server, account)
    assert await asked.answer(asked.signed()) == pb.AnswerPasskeyResponse.TAKEN
    ended = await asked.ended()
    assert (ended.result, ended.reason) == (pb.PairingEnded.FAILED, "passkey_unconfirmed")
    with pytest.raises(PairingRefused):
        await asked.linking


async def test_no_code_is_shown_any_more_while_the_passkey_is_wanted(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    await engine.kill()
    await engine.start(WIRE_CODE_MS="300", WIRE_PASSKEY_MS="2500")
    account = engine.account("shop")
    await account.open()
    asked = await ask(server, account)
    await asked.ended()
    shown = [event.WhichOneof("kind") for event in account.events]
    assert shown[shown.index("passkey_request") :] == ["passkey_request", "pairing_ended"]
    with pytest.raises(PairingRefused):
        await asked.linking


async def test_a_connection_that_ends_before_the_answer_ends_the_pairing(server: WhatsAppServer, asked: Asked) -> None:
    assert server.faults.end_pairing() == 1
    ended = await asked.ended()
    assert (ended.result, ended.reason) == (pb.PairingEnded.FAILED, "passkey_cut_off")
    with pytest.raises(PairingRefused):
        await asked.linking


async def test_an_answer_that_whatsapp_does_not_confirm_may_be_given_again(
    server: WhatsAppServer, asked: Asked
) -> None:
    silence = server.faults.mute("md")
    request = pb.AnswerPasskeyRequest(session=asked.account.session, assertion_json=asked.signed())
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asked.account.stub.AnswerPasskey(request, timeout=1.0)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    silence.end()
    assert await asked.answer(asked.signed()) == pb.AnswerPasskeyResponse.TAKEN
    await asked.linking


async def test_of_two_answers_at_once_one_is_sent(server: WhatsAppServer, asked: Asked) -> None:
    late = server.faults.late_answers("md", 0.5)
    first = asyncio.create_task(asked.answer(asked.signed()))
    await server.until(lambda: late.hits, what="the first answer")
    await refused(asked, asked.signed(), grpc.StatusCode.FAILED_PRECONDITION, "answered already")
    late.end()
    assert await first == pb.AnswerPasskeyResponse.TAKEN
    await asked.linking


async def test_a_former_owner_hands_over_no_answer(asked: Asked) -> None:
    epoch = asked.account.session.epoch
    await asked.account.stub.Open(
        pb.OpenRequest(session=pb.Session(account_id="shop", epoch=epoch + 1), term_ends_ms=int((now_s() + 60) * 1000)),
        timeout=PATIENCE_S,
    )
    await refused(asked, asked.signed(), grpc.StatusCode.FAILED_PRECONDITION, "stale")
    with pytest.raises(PairingRefused):
        await asked.linking


async def test_nothing_of_the_request_or_the_answer_is_logged(asked: Asked, engine: RunningEngine) -> None:
    signed = asked.signed()
    await asked.answer(signed)
    await asked.linking
    await asked.account.connected()
    log = "\n".join(engine.log)
    answered = json.loads(signed)
    for secret in (json.loads(asked.request.options_json)["challenge"], answered["id"], *answered["response"].values()):
        assert secret is None or secret not in log


async def refused(asked: Asked, assertion: str, code: grpc.StatusCode, words: str) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asked.answer(assertion)
    assert failure.value.code() is code
    details = str(failure.value.details())
    assert words in details
    return details
