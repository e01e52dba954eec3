"""Linking a phone: by QR, by code, in vain, and again."""

import grpc
import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.conftest import ANA, PHONE, Linked
from tests.engine.running import PATIENCE_S, RunningEngine, State
from tests.whatsapp import WhatsAppServer


async def test_a_scanned_qr_code_links_the_phone(server: WhatsAppServer, engine: RunningEngine) -> None:
    phone, account = server.add_phone(PHONE), engine.account("shop")
    assert not (await account.open()).paired
    code = await account.pair()
    assert code.qr
    assert code.expires_at_unix_ms
    await phone.scan(code.qr)
    await account.connected()
    kinds = [event.WhichOneof("kind") for event in account.events]
    assert kinds == ["pairing_code", "pairing_ended", "session", "session"]
    ended = account.events[1].pairing_ended
    assert (ended.result, ended.phone_e164) == (pb.PairingEnded.PAIRED, PHONE)
    connected = account.changes[-1]
    assert connected.phone_e164 == PHONE
    assert (connected.device.number, connected.device.platform) == (1, "android")


async def test_a_code_that_is_typed_in_links_the_phone(server: WhatsAppServer, engine: RunningEngine) -> None:
    phone, account = server.add_phone(PHONE), engine.account("shop")
    await account.open()
    code = await account.pair(PHONE)
    assert len(code.phone_code) == len("ABCD-1234")
    await phone.enter_code(code.phone_code)
    assert (await account.until_state(State.CONNECTED)).phone_e164 == PHONE


async def test_codes_that_nobody_uses_end_the_pairing(server: WhatsAppServer, engine: RunningEngine) -> None:
    await engine.kill()
    await engine.start(WIRE_CODE_MS="100")
    account = engine.account("shop")
    await account.open()
    await account.pair()
    ended = await account.until(lambda: _ended(account.events), "the pairing's end")
    assert ended.result == pb.PairingEnded.EXPIRED
    shown = [event.pairing_code.qr for event in account.events if event.WhichOneof("kind") == "pairing_code"]
    assert len(set(shown)) == 6


async def test_pairing_can_begin_again_after_it_ended(server: WhatsAppServer, engine: RunningEngine) -> None:
    await engine.kill()
    await engine.start(WIRE_CODE_MS="300")
    phone, account = server.add_phone(PHONE), engine.account("shop")
    await account.open()
    await account.pair()
    await account.until(lambda: _ended(account.events), "the pairing's end")
    code = await account.pair()
    await phone.scan(code.qr)
    await account.connected()


async def test_a_second_pair_call_shows_new_codes(server: WhatsAppServer, engine: RunningEngine) -> None:
    phone, account = server.add_phone(PHONE), engine.account("shop")
    await account.open()
    first = await account.pair()
    second = await account.pair(PHONE)
    assert first.qr
    assert second.phone_code
    await phone.enter_code(second.phone_code)
    await account.connected()


async def test_a_linked_account_cannot_be_paired(linked: Linked) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await linked.account.pair()
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_an_account_can_be_linked_to_another_number_after_logging_out(
    server: WhatsAppServer, linked: Linked
) -> None:
    account = linked.account
    await account.stub.Logout(pb.LogoutRequest(session=account.session), timeout=PATIENCE_S)
    assert linked.phone.devices == []
    seen = len(account.changes)
    other = server.add_phone("+40733333333")
    code = await account.pair()
    await other.scan(code.qr)
    assert (await account.until_state(State.CONNECTED, after=seen)).phone_e164 == other.number


async def test_the_link_outlives_the_engine(linked: Linked, engine: RunningEngine) -> None:
    await engine.kill()
    await engine.start()
    account = engine.account("shop")
    opened = await account.open()
    assert (opened.paired, opened.phone_e164) == (True, PHONE)
    await account.connected()


async def test_accounts_of_one_engine_keep_to_themselves(server: WhatsAppServer, engine: RunningEngine) -> None:
    ana = server.add_contact(ANA)
    phones = [server.add_phone(number) for number in (PHONE, "+40733333333")]
    accounts = [engine.account(name) for name in ("one", "two")]
    for phone, account in zip(phones, accounts, strict=True):
        await account.open()
        await phone.scan((await account.pair()).qr)
        await account.connected()
    for phone in phones:
        await ana.send(phone, f"to {phone.number}")
    for phone, account in zip(phones, accounts, strict=True):
        await account.until_message(f"to {phone.number}")
        assert account.texts() == [f"to {phone.number}"]


def _ended(events: list[pb.Event]) -> pb.PairingEnded | None:
    return next((event.pairing_ended for event in events if event.WhichOneof("kind") == "pairing_ended"), None)


async def test_messages_pass_both_ways_while_the_app_state_and_the_history_come(
    server: WhatsAppServer, engine: RunningEngine
) -> None:
    """A phone shares both after pairing, which takes minutes for a large account."""
    late = server.faults.late_answers("w:sync:app:state", 5.0)
    phone, ana, account = server.add_phone(PHONE), server.add_contact(ANA), engine.account("shop")
    await account.open()
    device = await phone.scan((await account.pair()).qr)
    await account.connected()
    await device.ready()
    for _ in range(20):
        await phone.send_history(device, mappings=[ana], conversations=[(ana, [])])
    written = [(await ana.send(phone, f"text {number}")).id for number in range(20)]
    answer = await account.send(str(ana.number_jid), "3EB0AABBCCDDEEFF0033", "an answer")
    assert answer.outcome == pb.SendResponse.SENT
    await account.until(lambda: len(account.messages) == len(written), "all messages")
    assert [message.whatsapp_id for message in account.messages] == written
    assert server.presences == [], "the app state has not come yet"
    late.end()
    await server.until(lambda: phone.announced_name == phone.name, 30, what="the account's name")
    assert account.states == ["CONNECTING", "CONNECTED"]
