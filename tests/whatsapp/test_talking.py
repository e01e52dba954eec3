"""A real engine and people who talk: pairing over both transports, messages each way, receipts, names."""

import asyncio
import time
from pathlib import Path

import pytest

from connector.contract import engine_pb2 as pb
from tests.engine.running import RunningEngine
from tests.whatsapp import PairingRefused, WhatsAppServer
from tests.whatsapp.contact import Addressing
from tests.whatsapp.linked import ANA, BOB, SHOP, Linked, has_receipt, linked, new_id


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("by_code", [False, True], ids=["by qr", "by code"])
async def test_a_session_is_paired_and_talks_both_ways(tmp_path: Path, tls: bool, by_code: bool) -> None:
    async with WhatsAppServer(tls=tls) as server, linked(server, tmp_path, by_code=by_code) as here:
        account, ana, message_id = here.account, here.ana, new_id()
        written = await ana.send(here.phone, "Bună!")
        message = await account.until_message("Bună!")
        assert (message.whatsapp_id, message.push_name, message.from_me) == (written.id, "Ana", False)
        assert {message.chat_jid, message.chat_other_jid} == {str(ana.lid), str(ana.number_jid)}
        assert message.timestamp_s == written.timestamp_s

        response = await account.send(message.chat_jid, message_id, "Cu ce vă ajut?")
        assert response.outcome == pb.SendResponse.SENT
        assert [(shown.sender, shown.id, shown.text) for shown in ana.inbox] == [(SHOP, message_id, "Cu ce vă ajut?")]
        assert here.phone.copies == [message_id]
        await ana.read(here.phone)
        await account.until(lambda: has_receipt(account, message_id, pb.ReceiptReceived.DELIVERED), "delivered")
        await account.until(lambda: has_receipt(account, message_id, pb.ReceiptReceived.READ), "read")
        assert server.refused_hosts == []


async def test_a_wrong_code_does_not_pair(tmp_path: Path) -> None:
    async with WhatsAppServer() as server:
        engine = RunningEngine(store=f"sqlite:{tmp_path / 'engine.db'}", environment=server.environment())
        async with engine:
            phone, account = server.add_phone(SHOP), engine.account("shop")
            await account.open()
            code = (await account.pair(SHOP)).phone_code
            with pytest.raises(PairingRefused):
                await phone.enter_code("".join(reversed(code.replace("-", ""))))
            assert phone.devices == []
            await account.leave()


@pytest.mark.parametrize("addressing", ["number", "number_only", "lid", "lid_only"])
async def test_a_contact_s_names_come_as_it_is_addressed(here: Linked, addressing: Addressing) -> None:
    bob = here.server.add_contact(BOB, "Bob", addressing=addressing)
    await bob.send(here.phone, "hello")
    message = await here.account.until_message("hello")
    number, lid = str(bob.number_jid), str(bob.lid)
    # A number that comes without its LID is looked up; there is no look-up the other way round.
    expected = {"number": (number, lid), "number_only": (number, lid), "lid": (lid, number), "lid_only": (lid, "")}
    assert (message.chat_jid, message.chat_other_jid) == expected[addressing]


async def test_an_echo_shows_the_device_its_own_message(here: Linked) -> None:
    message_id = new_id()
    await here.account.send(str(here.ana.number_jid), message_id, "mine")
    await here.phone.echo(here.server.frames(id=message_id)[0])
    message = await here.account.until_message("mine")
    assert (message.whatsapp_id, message.from_me, message.chat_jid) == (message_id, True, str(here.ana.lid))


async def test_the_owner_s_own_messages_reach_linked_devices(here: Linked) -> None:
    written = await here.phone.write(here.ana, "typed")
    message = await here.account.until_message("typed")
    assert (message.whatsapp_id, message.from_me) == (written.id, True)
    assert message.chat_jid == str(here.ana.lid)
    assert [shown.text for shown in here.ana.inbox] == ["typed"]


async def test_a_contact_that_reads_says_so_by_itself_in_its_time(here: Linked) -> None:
    here.ana.reads, here.server.receipt_delay_s = True, 0.3
    message_id, started = new_id(), time.monotonic()
    await here.account.send(str(here.ana.number_jid), message_id, "text")
    await here.account.until(lambda: has_receipt(here.account, message_id, pb.ReceiptReceived.READ), "read")
    assert time.monotonic() - started >= 0.3


async def test_two_linked_devices_see_each_other_s_messages(here: Linked) -> None:
    second = here.engine.account("second")
    await second.open()
    device = await here.phone.scan((await second.pair()).qr)
    await second.connected()
    await device.ready()
    await here.account.send(str(here.ana.number_jid), new_id(), "from the first")
    message = await second.until_message("from the first")
    assert message.from_me
    written = await here.ana.send(here.phone, "to both")
    assert (await second.until_message("to both")).whatsapp_id == written.id
    await here.account.until_message("to both")
    await second.leave()


async def test_an_account_writes_to_another(here: Linked) -> None:
    other_phone, other = here.server.add_phone("+40744444444", "Other"), here.engine.account("other")
    await other.open()
    device = await other_phone.scan((await other.pair()).qr)
    await other.connected()
    await device.ready()
    await here.account.send(str(other_phone.number_jid), new_id(), "shop to shop")
    message = await other.until_message("shop to shop")
    assert not message.from_me
    assert [shown.text for shown in other_phone.inbox] == ["shop to shop"]
    await other.leave()


async def test_a_number_is_on_whatsapp_or_is_not(here: Linked) -> None:
    async def ask(number: str) -> pb.IsOnWhatsAppResponse:
        request = pb.IsOnWhatsAppRequest(session=here.account.session, phone_e164=number)
        return await here.account.stub.IsOnWhatsApp(request, timeout=10)

    assert (await ask(ANA)).registered
    assert not (await ask("+40799999999")).registered


async def test_history_tells_who_has_which_lid(here: Linked) -> None:
    """The engine reads history beside the messages: those that come before it has read it bear the LID alone."""
    bob = here.server.add_contact(BOB, "Bob", addressing="lid_only")
    await here.phone.send_history(here.device, mappings=[bob])
    names = set()
    for attempt in range(60):
        await bob.send(here.phone, f"by LID alone, {attempt}")
        message = await here.account.until_message(f"by LID alone, {attempt}")
        names = {message.chat_jid, message.chat_other_jid}
        if message.chat_other_jid:
            break
        await asyncio.sleep(0.25)
    assert names == {str(bob.lid), str(bob.number_jid)}


async def test_a_call_is_told(here: Linked) -> None:
    here.ana.call(here.phone)
    await here.account.until(
        lambda: [message for message in here.account.messages if message.note.kind == "call"], "the call"
    )


async def test_marking_as_read_reaches_the_contact(here: Linked) -> None:
    written = await here.ana.send(here.phone, "read me")
    message = await here.account.until_message("read me")
    request = pb.MarkReadRequest(
        session=here.account.session, chat_jid=message.chat_jid, whatsapp_ids=[message.whatsapp_id]
    )
    await here.account.stub.MarkRead(request, timeout=10)
    seen = await here.server.until(lambda: here.server.receipts)
    assert [(receipt.contact, receipt.ids, receipt.kind) for receipt in seen] == [(ANA, (written.id,), "read")]
